import type { Redis } from 'ioredis'

/**
 * A connection whose commands are refused is ended once and made again. ioredis ends it once for each refused command
 * and adds a listener each time: a burst makes Node warn of a leak, some times a second while a failover lasts.
 */
export function endStreamsOnce(client: Redis): void {
  const disconnect: (reconnect?: boolean) => void = client.disconnect
  client.disconnect = (reconnect = false) => {
    const isEnding = reconnect && client.status === 'ready' && client.stream.writableEnded
    if (!isEnding) disconnect.call(client, reconnect)
  }
}
