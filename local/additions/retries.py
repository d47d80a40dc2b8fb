"""A call that is made again is answered again, and not carried out again.

Now and then Terraform's provider does not get an answer that was given, and calls again: there would be two routes with
one key then, of which it knows one. (AWS would refuse the second.)
"""

from collections import OrderedDict

from ministack import app

from additions import instead_of

MOST = 1_000

# What each call that changes something was answered with, by the id that the SDKs give to all attempts at it.
answers = OrderedDict()


@instead_of(app, "app")
async def answer_once(answer, scope, receive, send):
    """AWS carries out or refuses each attempt. Here all attempts have one answer, by the id that they share.
    Source: none found. Ours for good.
    """
    headers = dict(scope.get("headers", []))
    call = headers.get(b"amz-sdk-invocation-id")
    if scope["type"] != "http" or scope["method"] == "GET" or not call:
        return await answer(scope, receive, send)
    if call in answers:
        for event in answers[call]:
            await send(event)
        return None
    events = []

    async def send_and_remember(event):
        events.append(event)
        await send(event)

    await answer(scope, receive, send_and_remember)
    if events and events[0].get("status", 500) < 400:
        answers[call] = events
        if len(answers) > MOST:
            answers.popitem(last=False)
    return None
