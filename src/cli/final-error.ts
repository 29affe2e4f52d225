import { messageOf, RESTART_EXIT_CODE } from '../base/index.js'

/** The message and exit code of a command that ends with a known error. */
export type FinalError = { readonly sentence: string; readonly exitCode: 1 | 2 | typeof RESTART_EXIT_CODE }

/**
 * The sentence of an error with a code of ours, of an answer of Redis, or of the operating system about an address, a file or a folder;
 * undefined for anything else, which is a bug and is printed with its stack trace.
 */
export function finalErrorOf(thrown: unknown): FinalError | undefined {
  if (thrown instanceof Error && thrown.name === 'ReplyError') return redisRefusal(thrown)
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return undefined
  // Not by instanceof: the protocol, which is published alone, has an error class of its own.
  if (thrown.code.startsWith('LF_')) return codedError(thrown, thrown.code)
  const sentence = systemSentence(thrown, thrown.code)
  return sentence === undefined ? undefined : { sentence, exitCode: 2 }
}

function redisRefusal({ message }: Error): FinalError {
  return { sentence: `Redis refuses a command: ${message} (docs/reference/redis.md). [LF_REDIS_UNFIT]`, exitCode: 1 }
}

const INPUT_CODES: readonly string[] = [
  'LF_INVALID_INPUT',
  'LF_BAD_TRAINER_FILE',
  'LF_BAD_CONVERTER_FILE',
  'LF_BAD_PLUGIN',
  'LF_ANNOTATION_TOOL',
  'LF_BAD_LOOP_HOST',
]

function codedError(error: Error, code: string): FinalError {
  if (code === 'LF_THREADS_LOST') return { sentence: `${error.message} [${code}]`, exitCode: RESTART_EXIT_CODE }
  return { sentence: `${error.message} [${code}]`, exitCode: INPUT_CODES.includes(code) ? 2 : 1 }
}

function systemSentence(error: Error, code: string): string | undefined {
  const [address, path] = [addressOf(error), factOf(error, 'path')]
  if (address !== undefined && code === 'EADDRINUSE') {
    return `Another program listens on ${address}; choose another --port, or 0 for a free one. [LF_ADDRESS_UNUSABLE]`
  }
  if (address !== undefined) {
    return `The address ${address} cannot be used (${code}); check it and try again. [LF_ADDRESS_UNUSABLE]`
  }
  if (path === undefined) return undefined
  const what = messageOf(error).split(', ')[0]
  return `${path} cannot be used (${what}); free it or make room, or choose another place. [LF_PATH_UNUSABLE]`
}

function addressOf(error: Error): string | undefined {
  const parts = [factOf(error, 'address'), factOf(error, 'port')].filter((part) => part !== undefined)
  return parts.length === 0 ? undefined : parts.join(':')
}

function factOf(error: Error, key: 'address' | 'port' | 'path'): string | undefined {
  const value: unknown = Reflect.get(error, key)
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}
