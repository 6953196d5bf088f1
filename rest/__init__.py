"""The manners of the REST API that every app shares: problems, pages, ETags, Cache-Status, OpenAPI.

Promise: an app's views hold only what is the app's own; two apps answer the same mistake alike.
On failure: whatever goes wrong, the client gets `application/problem+json`, never a stack trace.
Imports no app.
"""
