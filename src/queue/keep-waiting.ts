import type { Redis } from 'ioredis'

/**
 * A connection that is refused while it is made (a changed password, too many clients, a proxy without its server) is made
 * again, and commands wait for that as in every outage. ioredis would fail all that wait with the error of the login,
 * which ends the programs of trainings.
 */
export function keepWaiting(client: Redis): void {
  client.recoverFromFatalError = (_commandError, error) => {
    client.silentEmit('error', error)
    client.disconnect(true)
  }
}
