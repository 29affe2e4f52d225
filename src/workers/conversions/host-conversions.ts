import process from 'node:process'
import type { Closers } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Converter } from '../../executors/program/index.js'
import { type Conversions, queueNames } from '../../queue/index.js'
import type { HostWork } from '../engine/host-work.js'
import { toWork } from '../engine/pipeline.js'
import type { Places } from '../engine/places.js'
import type { Served } from '../engine/served.js'
import type { WorkerDeps, WorkerOptions } from '../worker-options.js'
import { createWorkspaceKeeper, DEFAULT_KEEP } from '../workspaces/index.js'
import { type ConversionPipelineDeps, createConversionPipeline } from './conversion-pipeline.js'
import { folderOwnerOf } from './folder-owner.js'
import { createRecentProjects } from './recent-projects.js'

export type HostConversionsOptions = Omit<WorkerOptions, 'converters'> & { readonly converters: readonly Converter[] }

export type HostConversionsDeps = Pick<WorkerDeps, 'queues' | 'slots' | 'stageDeps' | 'loopAddress'> & {
  readonly conversions: Conversions
  readonly places: Pick<Places, 'total'>
  readonly served: Pick<Served, 'has'>
  readonly isDraining: () => boolean
  readonly isActive: (conversionId: string) => boolean
  /** SIGKILLs what earlier runs of a conversion have left on this host. */
  readonly sweepConversion: (conversionId: string) => Promise<void>
  /** The host may claim more, or of other converters, than before. */
  readonly onChange: () => void
  readonly onProgramFailed?: ConversionPipelineDeps['onProgramFailed']
  readonly log: Logger
}

/** The conversions of a host. */
export function createHostConversions(options: HostConversionsOptions, deps: HostConversionsDeps): HostWork {
  const { hostId, dataFolder, programEnv, converters } = options
  const { conversions, queues, stageDeps, places, log } = deps
  const keeper = createWorkspaceKeeper(
    { keepOld: false, ...DEFAULT_KEEP, ...options.keep, dataFolder, of: 'conversions' },
    {
      records: { load: async (id) => folderOwnerOf(await conversions.load(id)) },
      ...{ isActive: deps.isActive, now: Date.now, log },
    },
  )
  const steps = queues.steps(queueNames.conversions(hostId))
  const pipeline = createConversionPipeline(
    { hostId, dataFolder, converters, pid: process.pid, places: places.total },
    {
      ...{ ...deps, steps, programEnv, loopAddress: deps.loopAddress ?? '' },
      rest: { models: stageDeps.rest.models, ...createRecentProjects(stageDeps.rest) },
      models: stageDeps.models,
      outputThread: stageDeps.outputThread,
      tidyFolders: () => keeper.tidy(),
    },
  )

  async function prepare(signal: AbortSignal, closers: Closers): Promise<void> {
    closers.add('workspaces of conversions', () => keeper.close())
    await conversions.migrate(queues)
    keeper.tidy()
    closers.add('converters', () => Promise.all(converters.map((converter) => converter.close?.())))
    closers.add('steps of conversions', () => steps.stop())
    await steps.start({ signal })
  }

  return {
    works: [toWork(pipeline)],
    held: pipeline.held,
    prepare,
    follow() {
      pipeline.setPlaces(places.total)
      pipeline.setTaking(({ name }) => !deps.isDraining() && deps.served.has('converter', name))
    },
  }
}
