import { type DestinationStream, type Logger, pino, stdTimeFunctions, type TransportSingleOptions } from 'pino'

export type { Logger } from 'pino'

export type LoggerOptions = {
  readonly level?: 'silent' | 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'
  /** Coloured lines for a terminal instead of JSON. */
  readonly pretty?: boolean
  /** Where the lines go; stderr by default, since stdout belongs to a command's result. */
  readonly destination?: DestinationStream
}

const SECRET_KEYS = ['password', 'cookie', 'cookies', 'token', 'authorization', 'set-cookie']

/** `http://user:password@proxy`; an address ends at white space, a slash or a quotation mark. */
const PASSWORD_IN_ADDRESS = /(:\/\/[^\s/:@"']*):[^\s/"']+@/g

/** The text without the passwords that stand in its addresses. */
export function maskPasswords(text: string): string {
  return text.includes('://') ? text.replaceAll(PASSWORD_IN_ADDRESS, '$1:***@') : text
}

/**
 * A pino logger that writes to stderr and never prints a cookie, a token or a password: by their keys, up to two levels
 * deep, and in addresses wherever they stand.
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  const redact = { paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`, `*.*["${key}"]`]), censor: '***' }
  const base = {
    level: options.level ?? 'info',
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    redact,
    hooks: { streamWrite: (line: string) => maskPasswords(withoutDoubledKeys(line)) },
  }
  if (options.destination !== undefined) return pino(base, options.destination)
  if (options.pretty === true) return pino({ ...base, transport: prettyTransport() })
  return pino(base, pino.destination({ fd: 2, sync: true }))
}

// A child that names its component again, or a field that a child has already, would stand in the line twice, which
// strict readers of JSON refuse (Elasticsearch among them). The innermost value counts.
function withoutDoubledKeys(line: string): string {
  try {
    return `${JSON.stringify(JSON.parse(line))}\n`
  } catch {
    return line
  }
}

function prettyTransport(): TransportSingleOptions {
  return { target: 'pino-pretty', options: { destination: 2, translateTime: 'SYS:HH:MM:ss.l', singleLine: true } }
}

/** A logger that says nothing, for tests and commands that print their own result. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
