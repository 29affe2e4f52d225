import { type Cookie, CookieJar } from 'tough-cookie'

/** The cookies of one login. All of them go to the one host they came from, whatever path they name. */
export type LoginCookies = {
  /** Takes the `Set-Cookie` lines of an answer; unreadable ones are left out. */
  take(lines: readonly string[]): Promise<void>
  /** The value of the `Cookie` header; undefined when there is none to send. */
  header(): string | undefined
  /** The bare values, to keep them out of errors. */
  values(): string[]
}

export function createLoginCookies(host: string): LoginCookies {
  // A cookie may name /api as its path or ask for TLS, yet the socket handshake beside it needs it too, and a local Loop
  // has no TLS. It came from this host and goes back to this host only, so nothing but its expiry is looked at.
  const origin = `https://${host}/`
  const jar = new CookieJar(undefined, { looseMode: true, rejectPublicSuffixes: false })
  let all: readonly Cookie[] = []
  const live = () => all.filter((cookie) => cookie.TTL() > 0)

  return {
    async take(lines) {
      if (lines.length === 0) return
      for (const line of lines) await jar.setCookie(line, origin, { ignoreError: true })
      all = await jar.store.getAllCookies()
    },
    header() {
      const pairs = live().map((cookie) => cookie.cookieString())
      return pairs.length === 0 ? undefined : pairs.join('; ')
    },
    values: () => live().map((cookie) => cookie.value),
  }
}
