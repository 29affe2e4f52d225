import type { Closers } from '../../base/index.js'
import {
  createImageExchange,
  createLoopRest,
  createLoopSession,
  createModelExchange,
  type ImageExchange,
  type LoopRest,
  type LoopSession,
  type ModelExchange,
} from '../../loop/client/index.js'
import type { CliContext } from '../context.js'

export type LoopClient = {
  readonly session: LoopSession
  readonly rest: LoopRest
  readonly images: ImageExchange
  readonly models: ModelExchange
}

/** One login and one set of connections to the Loop; nothing is sent yet. */
export function openLoopClient({ environment, log }: CliContext, closers: Closers, folder: string): LoopClient {
  const session = createLoopSession(
    {
      host: environment.LOOP_HOST,
      username: environment.LOOP_USERNAME,
      password: environment.LOOP_PASSWORD,
      sslCertPath: environment.LOOP_SSL_CERT_PATH,
    },
    { log },
  )
  closers.add('loop session', async () => session.close())
  const rest = createLoopRest(session)
  const images = createImageExchange({ folder }, { rest, session, log })
  return { session, rest, images, models: createModelExchange({ session, log }) }
}
