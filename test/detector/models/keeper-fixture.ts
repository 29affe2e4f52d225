import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { zipStream } from '../../../src/base/archives/zip.js'
import { silentLogger } from '../../../src/base/logger.js'
import {
  createModelKeeper,
  type ModelKeeper,
  type ModelKeeperDeps,
  type ModelKeeperOptions,
} from '../../../src/detector/models/keeper.js'
import type { BuildPool } from '../../../src/detector/models/model-builder.js'
import { createModelDownload } from '../../../src/detector/models/model-download.js'
import type { ModelTarget } from '../../../src/detector/models/target.js'
import { emptyFindings } from '../../../src/inference/findings.js'
import type { InferencePool } from '../../../src/inference/pool.js'
import { createModelExchange } from '../../../src/loop/client/model-exchange.js'
import { createLoopRest } from '../../../src/loop/client/rest.js'
import { createLoopSession } from '../../../src/loop/client/session.js'
import { type HttpLoop, json, type Reply, startHttpLoop } from '../../helpers/http-loop.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

export const FORMAT = 'mocked'

/** Ids are made from versions, so that a version names a model in these tests. */
export function target(version: string, id = `id-of-${version}`): ModelTarget {
  return { id, version }
}

export function modelJsonOf({ id, version }: ModelTarget, more: object = {}): string {
  const categories = [{ id: 'c1', name: 'box', type: 'box' }]
  return JSON.stringify({ id, version, organization: 'acme', project: 'demo', format: FORMAT, categories, ...more })
}

export async function zipOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  return await buffer(zipStream(Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data) }))))
}

/** A Loop that serves the models a test gives it, and what else the test answers. */
export type ModelLoop = {
  readonly http: HttpLoop
  readonly zips: Map<string, Reply | Promise<Reply>>
  readonly entries: object[]
  /** A good model of this version. */
  offer(version: string, files?: Readonly<Record<string, string | Uint8Array>>): Promise<ModelTarget>
  downloads(version: string): number
}

export async function startModelLoop(): Promise<ModelLoop> {
  const zips = new Map<string, Reply | Promise<Reply>>()
  const entries: object[] = []
  const http = await startHttpLoop(async ({ url }) => {
    const id = /\/models\/([^/]+)\/[^/]+\/file$/.exec(url)?.[1]
    if (id !== undefined) return (await zips.get(decodeURIComponent(id))) ?? json({ detail: 'no such model' }, 404)
    return /\/models$/.test(url) ? json({ models: entries }) : json({}, 200)
  })
  return {
    http,
    zips,
    entries,
    async offer(version, files = {}) {
      const model = target(version)
      const body = await zipOf({ 'model.json': modelJsonOf(model), 'model.txt': `weights of ${version}`, ...files })
      zips.set(model.id, { body })
      entries.push({ id: model.id, version, formats: [FORMAT] })
      return model
    },
    downloads: (version) => http.seenAt(new RegExp(`/models/id-of-${version.replaceAll('.', '\\.')}/`)).length,
  }
}

/** The model runtime's double: a model is bad when its model.txt says so, and remembers how it was treated. */
export class PoolDouble implements InferencePool {
  static readonly open = new Set<PoolDouble>()
  readonly threadIds = []
  readonly inFlight = 0
  readonly text: string
  isClosed = false

  constructor(text: string) {
    this.text = text
    PoolDouble.open.add(this)
  }

  async detect() {
    if (this.isClosed) throw new Error(`the pool of ${this.text} is closed`)
    return { detections: emptyFindings(), threadId: 1 }
  }

  async detectBatch(images: readonly unknown[]) {
    return await Promise.all(images.map(() => this.detect()))
  }

  async close(): Promise<void> {
    this.isClosed = true
    PoolDouble.open.delete(this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

export const buildDouble: BuildPool = async (folder) => {
  const text = await readFile(join(folder, 'model.txt'), 'utf8')
  if (text.includes('does not load')) throw new Error('the runtime does not like it')
  return new PoolDouble(text)
}

export type KeeperFixture = {
  readonly folder: string
  readonly loop: ModelLoop
  /** A keeper on the test's folder, started. */
  start(options?: Partial<ModelKeeperOptions>, deps?: Partial<ModelKeeperDeps>): Promise<ModelKeeper>
  /** The same, not started. */
  create(options?: Partial<ModelKeeperOptions>, deps?: Partial<ModelKeeperDeps>): ModelKeeper
}

/** A Loop and a data folder for each test of the suite; keepers are stopped after it. */
export function useKeepers(): KeeperFixture {
  const folder = useTemporaryFolder()
  const never = new AbortController().signal
  let loop: ModelLoop
  let closers: (() => unknown)[] = []
  beforeEach(async () => {
    loop = await startModelLoop()
    closers = [() => loop.http.close()]
  })
  afterEach(async () => {
    for (const close of closers.reverse()) await close()
  })
  const create: KeeperFixture['create'] = (options = {}, deps = {}) => {
    const log = silentLogger()
    const session = createLoopSession({ host: loop.http.host }, { log })
    const exchange = createModelExchange({ session, log }, { retryFirstMs: 1 })
    const project = { organization: 'acme', project: 'demo', format: FORMAT }
    const keeper = createModelKeeper(
      { folder: folder.path, format: FORMAT, ...options },
      {
        models: createModelDownload(project, { exchange, rest: createLoopRest(session) }),
        buildPool: buildDouble,
        log,
        ...deps,
      },
    )
    closers.push(
      () => session.close(),
      () => keeper.stop(),
    )
    return keeper
  }
  return {
    get folder() {
      return folder.path
    },
    get loop() {
      return loop
    },
    create,
    async start(options, deps) {
      const keeper = create(options, deps)
      await keeper.start({ signal: never })
      return keeper
    },
  }
}

export async function untilServing(keeper: ModelKeeper, version: string): Promise<void> {
  await until(
    `version ${version} serves`,
    () => keeper.loaded()?.version === version && keeper.state().updating === null,
  )
}

export async function untilError(keeper: ModelKeeper, key: string): Promise<string> {
  return await until(`an error of ${key}`, () => keeper.state().errors[key])
}
