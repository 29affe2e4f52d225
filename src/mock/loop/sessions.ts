import { randomBytes, timingSafeEqual } from 'node:crypto'
import { parse } from 'cookie'

export type Credentials = { readonly username: string; readonly password: string }

/** Who is logged in. Without configured credentials everybody may do everything, and any login succeeds. */
export type Sessions = {
  readonly needsLogin: boolean
  /** The new session's token, or undefined when user name or password is wrong. */
  login(given: Credentials): string | undefined
  logout(cookieHeader: string | undefined): void
  isAllowed(headers: { readonly cookie?: string | undefined; readonly authorization?: string | undefined }): boolean
  expireAll(): void
}

export const SESSION_COOKIE = 'token'

export function createSessions(credentials: Credentials | undefined): Sessions {
  const tokens = new Set<string>()
  const matches = (given: Credentials) =>
    credentials === undefined ||
    (isSame(given.username, credentials.username) && isSame(given.password, credentials.password))
  const tokenOf = (header: string | undefined) => (header === undefined ? undefined : parse(header)[SESSION_COOKIE])
  return {
    needsLogin: credentials !== undefined,
    login: (given) => {
      if (!matches(given)) return undefined
      const token = randomBytes(24).toString('hex')
      tokens.add(token)
      return token
    },
    logout: (header) => {
      tokens.delete(tokenOf(header) ?? '')
    },
    isAllowed: ({ cookie, authorization }) => {
      if (credentials === undefined || tokens.has(tokenOf(cookie) ?? '')) return true
      const basic = basicCredentials(authorization)
      return basic !== undefined && matches(basic)
    },
    expireAll: () => tokens.clear(),
  }
}

function basicCredentials(header: string | undefined): Credentials | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [username = '', ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return { username, password: password.join(':') }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}
