import { ReplyError } from 'ioredis'

/**
 * The driver puts the refused command with all its arguments on each error: the login with its password, whole records.
 * Loggers and a crash print what an error carries, so here only the name stays. On the class, since every connection of
 * the process makes such errors, also those of BullMQ.
 */
export function keepArgumentsOffErrors(): void {
  const base: object = Object.getPrototypeOf(ReplyError.prototype) // RedisError, of replies and of aborted commands
  Object.defineProperty(base, 'command', {
    configurable: true,
    set(this: object, command: { readonly name?: unknown }) {
      Object.defineProperty(this, 'command', { value: { name: command.name }, enumerable: true, configurable: true })
    },
  })
}
