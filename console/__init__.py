"""The admin's home as a live scoreboard: wiring of the site, beside `config` and `demo`.

Promises: knows the apps, and none of them knows it; whoever lifts an app leaves this behind. Every figure is
the kernel's or the app's own, asked for at the moment it is shown.
On failure: without Redis or the database the page says so, and shows the rest.
"""
