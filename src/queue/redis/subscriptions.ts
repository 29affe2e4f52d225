import type { Redis } from 'ioredis'

export type Subscription = { close(): Promise<void> }

type SubscribeOptions = {
  /** Called after an outage: what was published meanwhile is lost, so look again. */
  readonly onReconnect?: () => void
}

export type Subscriptions = {
  /** Hears what is published on the channel from now on; resolves when Redis knows. */
  subscribe(channel: string, listener: (message: string) => void, options?: SubscribeOptions): Promise<Subscription>
  close(): void
}

type Listener = { readonly listener: (message: string) => void; readonly onReconnect: (() => void) | undefined }

/** All pub/sub of a process over one connection, opened with the first subscription. */
export function createSubscriptions(connect: () => Redis): Subscriptions {
  const channels = new Map<string, Set<Listener>>()
  let connection: Redis | undefined

  function open(): Redis {
    const opened = connect()
    let wasReady = false
    opened.on('message', (channel: string, message: string) => {
      for (const { listener } of channels.get(channel) ?? []) listener(message)
    })
    opened.on('ready', () => {
      if (wasReady) for (const listeners of channels.values()) for (const each of listeners) each.onReconnect?.()
      wasReady = true
    })
    return opened
  }

  async function leave(channel: string, entry: Listener): Promise<void> {
    const listeners = channels.get(channel)
    listeners?.delete(entry)
    if (listeners?.size !== 0) return
    channels.delete(channel)
    // While Redis is unreachable nothing can be sent; the reconnect subscribes only to the channels that are left.
    if (connection?.status === 'ready') await connection.unsubscribe(channel).catch(() => undefined)
  }

  return {
    async subscribe(channel, listener, options = {}) {
      const entry: Listener = { listener, onReconnect: options.onReconnect }
      const listeners = channels.get(channel) ?? new Set()
      channels.set(channel, listeners.add(entry))
      connection ??= open()
      await connection.subscribe(channel)
      return { close: () => leave(channel, entry) }
    },
    close() {
      channels.clear()
      connection?.disconnect()
    },
  }
}
