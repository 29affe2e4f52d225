"""A robot client as those of the 0.8 family are written: JPEG bytes with mac, tags and autoupload, 3 s time-out."""
import asyncio
import json
import sys

import socketio

URL, IMAGE = sys.argv[1:]


async def main():
    client = socketio.AsyncClient()
    await client.connect(URL, socketio_path='/ws/socket.io', transports=['websocket'])
    with open(IMAGE, 'rb') as file:
        image = file.read()
    message = {'image': image, 'mac': '11:22:33', 'autoupload': 'all', 'tags': ['wheel']}
    found = await client.call('detect', message, timeout=30)
    info = await client.call('info', timeout=30)
    failed = await client.call('detect', {'mac': '11:22:33'}, timeout=30)
    await client.emit('upload', {'image': image})
    empty = await client.call('upload', {'image': image}, timeout=30)
    await client.disconnect()
    print(json.dumps({'found': found, 'info': info, 'failed': failed, 'upload': empty}))


asyncio.run(main())
