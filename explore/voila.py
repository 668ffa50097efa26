"""Settings of the web page that `make explore` serves, on this machine and only to who has its URL.

Of what a browser sends, voila passes to the kernel only what widgets say (`allowed_message_types`
in its app.py), so nobody can execute code through the page.
"""

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import IOLoop


class UntilUnused(AsyncMappingKernelManager):
    """Ends the server where a check finds no page in use."""

    def __init__(self, **options):
        """Check from now on, not from the first page on."""
        super().__init__(**options)
        self.initialize_culler()

    async def cull_kernels(self):
        """End the kernels of unused pages, and then the server."""
        await super().cull_kernels()
        if not self.list_kernel_ids():
            IOLoop.current().stop()


c = get_config()  # noqa: F821 - traitlets runs this file with it

c.Voila.ip = "127.0.0.1"
c.Voila.auto_token = True
c.Voila.port_retries = 0
c.Voila.open_browser = False
c.Voila.tornado_settings = {
    "headers": {
        # voila's template asks another host for icons; plotly compiles functions
        "Content-Security-Policy": "frame-ancestors 'self'; default-src 'self' data: blob: "
        "'unsafe-inline' 'unsafe-eval'; form-action 'self'; object-src 'none'"
    }
}
c.VoilaConfiguration.multi_kernel_manager_class = UntilUnused
c.VoilaConfiguration.file_allowlist = []  # no file beside the notebook, such as its figures
c.VoilaConfiguration.strip_sources = True
c.VoilaConfiguration.show_tracebacks = False
c.VoilaConfiguration.allow_template_override = "NO"
c.VoilaConfiguration.allow_theme_override = "NO"
c.MappingKernelManager.cull_idle_timeout = 3600  # s without a click or a key
c.MappingKernelManager.cull_connected = True  # a page left open in a browser counts as unused too
c.MappingKernelManager.cull_interval = 1200  # s between two checks
