"""The pages: rendered on the server, whole without JavaScript, nothing loaded from elsewhere.

`pages.ROUTES` are the handlers, one module a noun in `routes/`; each authorises, asks one view of `views/`
for a frozen struct, and renders a template with it. See docs/design/ui.md.
"""
