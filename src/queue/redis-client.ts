import { Redis, type RedisOptions } from 'ioredis'

type Item = Parameters<Redis['handleReconnection']>[1]
type Command = Parameters<Redis['sendCommand']>[0]
type Stream = Parameters<Redis['sendCommand']>[1]
type Override = Partial<RedisOptions> | undefined
// The return type of the method that is overridden; ioredis does not export its parts.
declare const redis: Redis
type Copy<Given extends Override> = ReturnType<typeof redis.duplicate<Given>>

/**
 * A connection of ioredis whose commands wait through every outage, and whose errors hold no arguments
 * ([decision 23](../../docs/adr/0023-no-tricks.md)). Each method replaces the one of the same name in ioredis 6; the tests run
 * against the installed release.
 */
export class RedisClient extends Redis {
  /** Connects immediately, and emits `duplicate` with the copy: BullMQ makes its blocking connections this way. */
  override duplicate<Given extends Override = undefined>(override?: Given): Copy<Given>
  override duplicate(override?: Override): Redis {
    const copy = new RedisClient({ ...this.options, lazyConnect: false, ...override, replyMapping: 'legacy' })
    this.emit('duplicate', copy)
    return copy
  }

  /**
   * A connection whose commands are refused is ended once and made again. ioredis ends it once for each refused command
   * and adds a listener each time: a burst makes Node warn of a leak, several times a second during a failover.
   */
  override disconnect(reconnect = false): void {
    const isEnding = reconnect && this.status === 'ready' && this.stream.writableEnded
    if (!isEnding) super.disconnect(reconnect)
  }

  /**
   * A connection that is refused while it is made (a changed password, too many clients, a proxy without its server) is made
   * again, and commands wait for that as in every outage. ioredis rejects all of them with the error of the login,
   * which ends the programs of trainings.
   */
  override recoverFromFatalError(_commandError: Error, error: Error): void {
    this.silentEmit('error', error)
    this.disconnect(true)
  }

  /** Ends the connection whatever it waits for, and makes it again; what waits for an answer is sent again. */
  reconnect(cause: string): void {
    const isOpen = ['connecting', 'connect', 'ready'].includes(this.status)
    if (isOpen && !this.stream.destroyed) {
      this.stream.destroy(new Error(cause))
      return
    }
    if (isOpen) this.status = 'close' // it has missed that its stream has ended
    this.connect().catch(() => undefined) // a failure is retried
  }

  /** Every error reply passes here, those of logins too. */
  override handleReconnection(error: Error, item: Item): void {
    super.handleReconnection(withoutArguments(error), item)
  }

  /** A transaction that breaks off rejects its commands without a reply. It handles their rejections itself. */
  override sendCommand(command: Command, stream?: Stream): unknown {
    if (stream !== undefined) command.promise.catch(withoutArguments)
    return super.sendCommand(command, stream)
  }
}

/**
 * ioredis puts the refused command with all its arguments on the error: the login with its password, whole records.
 * Loggers and a crash print what an error holds, so only the name of the command stays.
 */
function withoutArguments<E extends Error>(error: E): E {
  if ('command' in error && typeof error.command === 'object' && error.command !== null && 'name' in error.command) {
    error.command = { name: error.command.name }
  }
  return error
}
