import { buffer } from 'node:stream/consumers'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { zipStream } from '../../../src/base/zip/zip.js'
import { createModelDownload, type ModelDownload } from '../../../src/detector/models/model-download.js'
import type { ModelTarget } from '../../../src/detector/models/target.js'
import { createModelExchange } from '../../../src/loop/client/models/model-exchange.js'
import { createLoopRest } from '../../../src/loop/client/session/rest.js'
import { createLoopSession } from '../../../src/loop/client/session/session.js'
import { type HttpLoop, json, type Reply, startHttpLoop } from '../../helpers/http-loop.js'
import { FORMAT, target } from './pool-double.js'

export type ModelFiles = Readonly<Record<string, string | Uint8Array>>

export function modelJsonOf({ id, version }: ModelTarget, more: object = {}): string {
  const categories = [{ id: 'c1', name: 'box', type: 'box' }]
  return JSON.stringify({ id, version, organization: 'acme', project: 'demo', format: FORMAT, categories, ...more })
}

export async function zipOf(files: ModelFiles): Promise<Buffer> {
  return await buffer(zipStream(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data) }))))
}

/** A Loop that serves the models a test gives it, and what else the test answers. */
export type ModelLoop = {
  readonly http: HttpLoop
  /** By the model's id. */
  readonly zips: Map<string, Reply>
  /** The list of models. */
  readonly entries: object[]
  /** Serves a good model of this version from now on. */
  offer(version: string, files?: ModelFiles): Promise<ModelTarget>
  downloads(version: string): number
}

export async function startModelLoop(): Promise<ModelLoop> {
  const zips = new Map<string, Reply>()
  const entries: object[] = []
  const http = await startHttpLoop(({ url }) => {
    const id = /\/models\/([^/]+)\/[^/]+\/file$/.exec(url)?.[1]
    if (id !== undefined) return zips.get(decodeURIComponent(id)) ?? json({ detail: 'no such model' }, 404)
    return json({ models: entries })
  })
  return {
    http,
    zips,
    entries,
    async offer(version, files = { 'model.txt': `weights of ${version}` }) {
      const model = target(version)
      zips.set(model.id, { body: await zipOf({ 'model.json': modelJsonOf(model), ...files }) })
      entries.push({ id: model.id, version, formats: [FORMAT] })
      return model
    },
    downloads: (version) => http.seenAt(new RegExp(`/models/id-of-${version.replaceAll('.', '\\.')}/`)).length,
  }
}

/** The real client's way to the models of a Loop. */
export function modelDownload(host: string): { readonly models: ModelDownload; close(): void } {
  const log = silentLogger()
  const session = createLoopSession({ host }, { log })
  const exchange = createModelExchange({ session, log }, { retryFirstMs: 1 })
  const project = { organization: 'acme', project: 'demo', format: FORMAT }
  const models = createModelDownload(project, { exchange, rest: createLoopRest(session) })
  return { models, close: () => session.close() }
}
