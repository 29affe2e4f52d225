import type { Environment } from '../config/index.js'

export type AddressFlags = { readonly port?: number | undefined; readonly host?: string | undefined }

/** Where a node answers: its flags, then NODE_HOST and NODE_PORT; no port if neither names one. */
export function nodeAddress(flags: AddressFlags, environment: Environment) {
  const { NODE_HOST = '127.0.0.1', NODE_PORT } = environment
  return { port: flags.port ?? NODE_PORT, host: flags.host ?? NODE_HOST }
}

/** For the parts of a command, which are several nodes on one machine and would all take the same port. */
export function withoutNodeAddress(env: Readonly<Record<string, string>>): Record<string, string> {
  const { NODE_HOST: _host, NODE_PORT: _port, ...others } = env
  return others
}
