export {
  RedisFolderBusyError,
  RedisForbiddenError,
  RedisMissingError,
  RedisStartError,
  RedisUnfitError,
  RedisUnreachableError,
} from './redis-errors.js'
export { isCut, isLoginRefusal, onFailedAttempt, pong, whyNoConnection } from './redis-reasons.js'
export {
  createFailoverRule,
  type FailoverRule,
  isForbidden,
  levelOf,
  noteRefusal,
  type Refusal,
  refusalNow,
  refusalOf,
  reportRefusals,
  whileRefused,
} from './redis-refusals.js'
export { parseRedisUrl, type RedisAddress } from './redis-url.js'
export { tryWrites, type WriteAnswer } from './try-writes.js'
