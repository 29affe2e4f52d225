import process from 'node:process'
import type { Closers } from '../../base/index.js'
import type { Logger } from '../../base/logger/index.js'
import type { Converter } from '../../executors/program/index.js'
import type { LoopRest } from '../../loop/client/index.js'
import { type ConversionRecord, type Conversions, queueNames } from '../../queue/index.js'
import type { HostWork } from '../engine/host-work.js'
import { toWork } from '../engine/pipeline.js'
import type { Places } from '../engine/places.js'
import type { Served } from '../engine/served.js'
import type { WorkerDeps, WorkerOptions } from '../worker-options.js'
import { createWorkspaceKeeper, DEFAULT_KEEP, type WorkspaceOwner } from '../workspaces/index.js'
import { type ConversionPipelineDeps, createConversionPipeline } from './conversion-pipeline.js'

export type HostConversionsOptions = Omit<WorkerOptions, 'converters'> & { readonly converters: readonly Converter[] }

export type HostConversionsDeps = Pick<WorkerDeps, 'queues' | 'slots' | 'stageDeps' | 'loopAddress'> & {
  readonly conversions: Conversions
  readonly places: Pick<Places, 'total'>
  readonly served: Pick<Served, 'has'>
  readonly isDraining: () => boolean
  readonly isActive: (conversionId: string) => boolean
  /** Kills programs that earlier runs of a conversion have left on this host. */
  readonly sweepConversion: (conversionId: string) => Promise<void>
  /** Called when the host may claim more conversions, or those of other converters, than before. */
  readonly onChange: () => void
  readonly onProgramFailed?: ConversionPipelineDeps['onProgramFailed']
  readonly isOnTrial: ConversionPipelineDeps['isOnTrial']
  readonly blame: ConversionPipelineDeps['blame']
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

/** The state of a conversion's folder for the workspace keeper: converted ones and aborted ones need it no more. */
function folderOwnerOf(record: ConversionRecord | undefined): WorkspaceOwner | undefined {
  if (record === undefined) return undefined
  switch (record.state) {
    case 'waiting':
    case 'running':
      return { endedAt: null, outcome: null }
    case 'failed':
      return { endedAt: record.endedAt, outcome: 'failed' }
    case 'converted':
    case 'aborted':
      return { endedAt: record.endedAt, outcome: 'aborted' }
    default:
      return record.state satisfies never
  }
}

/** Many models of one project are converted within a few seconds; its data are read once for them. */
const RECENT_MS = 5_000

/** Reads projects from the Loop and keeps each for a few seconds; a failed read is not kept. */
function createRecentProjects(
  rest: Pick<LoopRest, 'project'>,
  now: () => number = () => performance.now(),
): Pick<LoopRest, 'project'> {
  const answers = new Map<string, { readonly at: number; readonly project: Awaited<ReturnType<LoopRest['project']>> }>()
  return {
    async project(resource, options) {
      const known = answers.get(resource)
      if (known !== undefined && now() - known.at < RECENT_MS) return known.project
      for (const [other, { at }] of answers) if (now() - at >= RECENT_MS) answers.delete(other)
      const at = now()
      const project = await rest.project(resource, options)
      answers.set(resource, { at, project })
      return project
    },
  }
}
