import type { Closers } from '../../base/closers.js'
import { createConverterHttp } from '../../nodes/converter/converter-http.js'
import type { ConverterNode } from '../../nodes/converter/converter-node.js'
import type { CliContext } from '../context.js'
import { debugSwitch, listen } from './node-http.js'

/** Serves the converter's REST endpoints; answers the port it listens on. */
export async function startConverterHttp(
  address: { readonly port: number; readonly host: string },
  { node, closers, context }: { readonly node: ConverterNode; readonly closers: Closers; readonly context: CliContext },
): Promise<number> {
  const { log, environment } = context
  const deps = { node, setDebugLogging: debugSwitch(log), log }
  const allowedHosts = [address.host, ...environment.LOOPFLEET_ALLOWED_HOSTS]
  const server = createConverterHttp({ backdoor: environment.USE_BACKDOOR_CONTROLS, allowedHosts }, deps)
  return await listen(server, address, closers)
}
