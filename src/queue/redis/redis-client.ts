import { Redis, type RedisOptions } from 'ioredis'
import { refusalOf } from '../redis-basics/index.js'

type Item = Parameters<Redis['handleReconnection']>[1]
type Command = Parameters<Redis['sendCommand']>[0]
type Stream = Parameters<Redis['sendCommand']>[1]
type Override = Partial<RedisOptions> | undefined
// The return type of the method that is overridden; ioredis does not export its parts.
declare const redis: Redis
type Copy<Given extends Override> = ReturnType<typeof redis.duplicate<Given>>

/** As ioredis words it, since BullMQ knows the end of a connection by it. */
export const CLOSED = 'Connection is closed.'
const NOT_ASKED = ['ping', 'info', 'hello', 'auth', 'client', 'multi', 'exec', 'discard']
/** How often a command is sent again that Redis refuses because it is busy with a script. */
const BUSY_AGAIN_MS = 250

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

  /** Set by `close()` for good. Without an initial value: the constructor of ioredis connects before one would be set. */
  private isClosed?: true
  /** Of ioredis: commands of an earlier connection, which the next ready one sends again. It forgets to reject them. */
  declare private readonly prevCommandQueue?: { toArray(): Item[] } | null

  /** Ends the connection for good: it never connects again, and rejects what waits for an answer. */
  close(): void {
    this.isClosed = true
    for (const { command } of this.prevCommandQueue?.toArray() ?? []) command.reject(new Error(CLOSED))
    if (this.status !== 'end') this.disconnect()
  }

  /** A closed connection stays closed, whatever still wants to connect it: a timer, BullMQ, a check that was under way. */
  override connect(callback?: (error?: Error | null) => void): Promise<void> {
    if (this.isClosed) return Promise.reject(new Error(CLOSED))
    return super.connect(callback)
  }

  /**
   * A connection whose commands are refused is ended once and made again. ioredis ends it once for each refused command
   * and adds a listener each time: a burst makes Node warn of a leak, several times a second during a failover.
   * While ioredis waits to reconnect, its own method stops the timer and reports no end, so that whatever waits for an answer or
   * for the end would wait indefinitely; with the status of a connection that is not made yet, it ends it properly.
   */
  override disconnect(reconnect = false): void {
    const isEnding = reconnect && this.status === 'ready' && this.stream.writableEnded
    if (isEnding) return
    if (!reconnect && this.status === 'reconnecting') this.status = 'wait'
    super.disconnect(reconnect)
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

  /**
   * Ends the connection whatever it waits for; ioredis makes it again and sends again what waits for an answer. One that
   * ioredis is about to make again is left to it: a second attempt beside its timer would let that timer connect a connection
   * that has been closed meanwhile.
   */
  reconnect(): void {
    const isOpen = this.status === 'connect' || this.status === 'ready'
    const hasMissedItsEnd = isOpen && this.stream.destroyed
    if (hasMissedItsEnd) this.status = 'end'
    if (this.status === 'end')
      this.connect().catch(() => undefined) // a failure is retried
    else if (isOpen || this.status === 'connecting') this.stream?.destroy()
  }

  /**
   * Every error reply passes here, those of logins too. A Redis that is busy with a long script refuses everything and has done
   * nothing of it, so a command is sent again until the script has ended. Not one of a transaction, which its first refusal ends, nor
   * over a connection that is to find out what Redis answers.
   */
  override handleReconnection(error: Error, item: Item): void {
    const { command } = item
    withoutArguments(error)
    const mayWait = this.options.reconnectOnError !== null && isAlone(command)
    // Without the database of its address ioredis reports the error and goes on in database 0.
    if (command.name === 'select') this.recoverFromFatalError(error, error)
    else if (mayWait && isBusy(error)) setTimeout(() => void this.sendCommand(command), BUSY_AGAIN_MS)
    else if (mayWait && this.status === 'ready' && mayRefuseAll(error, command.name))
      void this.findWhatIsRefused(error, item)
    else super.handleReconnection(error, item)
  }

  /**
   * Hosted servers and proxies refuse every command at times, in words of their own: a quota that is used up, a server behind
   * them that is gone. That is no answer to the command if PING gets it too. It is an outage then: the connection is made again until its
   * handshake is answered, and commands wait for that.
   */
  private async findWhatIsRefused(error: Error, item: Item): Promise<void> {
    const isAll = await this.ping().then(
      () => false,
      (refusal: unknown) => refusal instanceof Error && refusal.name === 'ReplyError',
    )
    if (!isAll || !isAlone(item.command)) return super.handleReconnection(error, item)
    if (this.status === 'ready') this.disconnect(true)
    void this.sendCommand(item.command)
  }

  /** ioredis listens for the first error of a socket, and one with TLS may have another behind it, which would end the process. */
  override silentEmit(event: string, error?: unknown): boolean {
    if (event === 'error' && this.stream?.listenerCount('error') === 0) this.stream.on('error', () => undefined)
    return super.silentEmit(event, error)
  }

  /** A transaction that breaks off rejects its commands without a reply. It handles their rejections itself. */
  override sendCommand(command: Command, stream?: Stream): unknown {
    if (stream !== undefined) command.promise.catch(withoutArguments)
    return super.sendCommand(command, stream)
  }
}

/** Whether Redis runs a script of somebody for so long (`busy-reply-threshold`, 5 s) that it refuses everything else. */
function isBusy(error: Error): boolean {
  return error.message.startsWith('BUSY ')
}

/** What is known is not asked about, nor the most frequent error of scripts, the handshake, transactions, and PING itself. */
function mayRefuseAll(error: Error, command: string): boolean {
  return (
    !/^(NOSCRIPT|NOAUTH|WRONGPASS)/.test(error.message) &&
    refusalOf(error) === undefined &&
    !NOT_ASKED.includes(command)
  )
}

/** Whether it belongs to no transaction. */
function isAlone(command: Item['command']): command is Item['command'] & Command {
  return 'inTransaction' in command && command.inTransaction === false
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
