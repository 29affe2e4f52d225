import process from 'node:process'

type Variables = Readonly<Record<string, string | undefined>>

/** What any program needs to be found, to load its libraries and to write in the right language. */
const NAMES: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR'],
  ...['LD_LIBRARY_PATH', 'LD_PRELOAD'],
])
const PREFIXES = ['LC_']
/** NVIDIA_API_KEY: a prefix alone would let through secrets of other programs. */
const SECRET = /(^|_)(KEY|APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)/i

/** For nvidia-smi: libraries that share a card between containers read their limits from these. */
export const nvidiaVariables = ['NVIDIA_', 'CUDA_'] as const

/** What pip and the building of a Python environment need to reach a package index. */
export const pipVariables = [
  ...['PIP_', 'SSL_CERT_', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'NETRC', 'XDG_CONFIG_', 'XDG_CACHE_HOME', 'PYENV_'],
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'],
] as const

/**
 * The environment of a helper program of ours (nvidia-smi, jpeginfo, flock): a short list of names, and those that begin
 * with one of `more`. It does not receive what other programs of the account use, such as their secrets.
 */
export function helperEnvironment(more: readonly string[] = [], host: Variables = process.env): Record<string, string> {
  const prefixes = [...PREFIXES, ...more]
  const isPassed = (name: string) => NAMES.has(name) || isAllowedBy(prefixes, name)
  return Object.fromEntries(
    Object.entries(host).flatMap(([name, value]) => (value !== undefined && isPassed(name) ? [[name, value]] : [])),
  )
}

/** Whether a name begins with one of the prefixes and does not look like that of a secret. */
export function isAllowedBy(prefixes: readonly string[], name: string): boolean {
  return prefixes.some((prefix) => name.startsWith(prefix)) && !SECRET.test(name)
}

/**
 * Calls `start` while `process.env` holds nothing else: for packages that start a program, synchronously, and take no
 * environment for it.
 */
export function withEnvironment<Result>(environment: Record<string, string>, start: () => Result): Result {
  const whole = process.env
  process.env = environment
  try {
    return start()
  } finally {
    process.env = whole
  }
}
