import { messageOf, RESTART_EXIT_CODE } from '../base/index.js'

/** What a person is told when a command ends with an error that is not our own mistake. */
export type LastWord = { readonly sentence: string; readonly exitCode: 1 | 2 | typeof RESTART_EXIT_CODE }

/**
 * The sentence of an error with a code of ours, of an answer of Redis, or of the operating system about an address, a file or a folder;
 * undefined for anything else, which is a bug and deserves its stack trace.
 */
export function lastWordOf(thrown: unknown): LastWord | undefined {
  if (thrown instanceof Error && thrown.name === 'ReplyError') return redisWord(thrown)
  if (!(thrown instanceof Error) || !('code' in thrown) || typeof thrown.code !== 'string') return undefined
  // Not by instanceof: the protocol, which is published alone, has an error class of its own.
  if (thrown.code.startsWith('LF_')) return ownWord(thrown, thrown.code)
  const sentence = systemSentence(thrown, thrown.code)
  return sentence === undefined ? undefined : { sentence, exitCode: 2 }
}

function redisWord({ message }: Error): LastWord {
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

function ownWord(error: Error, code: string): LastWord {
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
