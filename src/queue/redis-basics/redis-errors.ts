import { LoopfleetError } from '../../base/index.js'

/** No Redis answered in time at the address. */
export class RedisUnreachableError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisUnreachableError'
  }
  constructor(details: { readonly url: string; readonly reason: string; readonly wayOut?: string }, cause?: unknown) {
    const { url, reason, wayOut = 'check REDIS_URL and that the server runs' } = details
    super('LF_REDIS_UNREACHABLE', `Redis at ${url} cannot be used: ${reason}; ${wayOut}.`, {
      details,
      cause,
      failure: 'transient',
    })
  }
}

/** Redis answers, but trainings would not be safe in it. */
export class RedisUnfitError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisUnfitError'
  }
  constructor(details: { readonly url: string; readonly fault: string; readonly wayOut: string }) {
    super('LF_REDIS_UNFIT', `Redis at ${details.url} ${details.fault}; ${details.wayOut}.`, { details })
  }
}

/**
 * The rights that a user of Redis needs, in the form of `ACL SETUSER`; docs/reference/redis.md explains them.
 * @internal since tests create their users of Redis with it.
 */
export const REDIS_RULE =
  '~{loopfleet}:* &{loopfleet}:* +@read +@write +@blocking +@pubsub +@scripting +@connection +@transaction -@dangerous +info +time'

/** The rules of the user (ACL) forbid what loopfleet needs. */
export class RedisForbiddenError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisForbiddenError'
  }
  constructor(details: { readonly url: string; readonly user: string; readonly reason: string }) {
    super(
      'LF_REDIS_FORBIDDEN',
      `Redis at ${details.url} forbids its user "${details.user}" what loopfleet needs (${details.reason}); allow it: ACL SETUSER ${details.user} ${REDIS_RULE} (docs/reference/redis.md).`,
      { details },
    )
  }
}

/** The program `redis-server` is not on the PATH. */
export class RedisMissingError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisMissingError'
  }
  constructor(cause?: unknown) {
    super(
      'LF_REDIS_MISSING',
      'redis-server is not on the PATH; install it (Debian and Ubuntu: sudo apt-get install redis-server) or set REDIS_URL.',
      { cause },
    )
  }
}

/** The embedded server ended before it answered. */
export class RedisStartError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisStartError'
  }
  constructor(details: { readonly folder: string; readonly lastLines: readonly string[] }) {
    const last = details.lastLines.at(-1)
    super(
      'LF_REDIS_START',
      `The embedded Redis in ${details.folder} does not start${last === undefined ? '.' : `: ${last}`}`,
      { details },
    )
  }
}

/** Another server still holds the folder. */
export class RedisFolderBusyError extends LoopfleetError {
  static {
    this.prototype.name = 'RedisFolderBusyError'
  }
  constructor(folder: string) {
    super('LF_REDIS_FOLDER_BUSY', `Another redis-server uses ${folder}; stop it, or use another data folder.`, {
      details: { folder },
    })
  }
}
