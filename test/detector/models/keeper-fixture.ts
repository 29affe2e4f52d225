import { silentLogger } from '../../../src/base/logger/logger.js'
import {
  createModelKeeper,
  type ModelKeeper,
  type ModelKeeperDeps,
  type ModelKeeperOptions,
} from '../../../src/detector/models/keeper.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { type ModelLoop, modelDownload, startModelLoop } from './model-loop.js'
import { buildDouble, FORMAT } from './pool-double.js'

type Create<Keeper> = (options?: Partial<ModelKeeperOptions>, deps?: Partial<ModelKeeperDeps>) => Keeper

export type KeeperFixture = {
  readonly folder: string
  readonly loop: ModelLoop
  /** A keeper on the test's folder, started. */
  readonly start: Create<Promise<ModelKeeper>>
  /** The same, not started. */
  readonly create: Create<ModelKeeper>
}

/** A Loop and a data folder for each test of the suite; keepers are stopped after it. */
export function useKeepers(): KeeperFixture {
  const folder = useTemporaryFolder()
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
    const { models, close } = modelDownload(loop.http.host)
    const keeper = createModelKeeper(
      { folder: folder.path, format: FORMAT, ...options },
      { models, buildPool: buildDouble, log: silentLogger(), ...deps },
    )
    closers.push(close, () => keeper.stop())
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
      await keeper.start({ signal: new AbortController().signal })
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
