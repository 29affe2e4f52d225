import type { Logger } from '../../base/logger.js'
import type { LoopRest } from '../../loop/client/rest.js'
import { type DetectorCondition, toDetectorReport } from '../../loop/protocol/index.js'
import type { NodeIdentity } from '../identity.js'
import type { LoopLink } from './link.js'
import { toStatusView } from './status-view.js'

export type RestLinkOptions = {
  readonly identity: NodeIdentity
  readonly organization: string
  readonly project: string
  readonly modelFormat: string
  /** NODE_VERSION: how the operator names this program's version; the current dialect reports it. */
  readonly nodeVersion?: string | undefined
  readonly syncCycles: number
}

export type RestLinkDeps = {
  readonly detector: {
    condition(): DetectorCondition
    setTarget(target: { readonly id: string; readonly version: string } | null): void
  }
  readonly rest: Pick<LoopRest, 'postDetectorReport' | 'deploymentTarget'>
  readonly log: Logger
}

/** Current dialect: status in the first cycle and in every n-th one, the deployment target in each one while idle. */
export function createRestLink(options: RestLinkOptions, deps: RestLinkDeps): LoopLink {
  const { organization, project, syncCycles } = options
  const { detector, rest, log } = deps
  let cycles = 0
  let hasTarget: boolean | undefined

  async function tellStatus(signal: AbortSignal): Promise<void> {
    const report = toDetectorReport(toStatusView(options, detector.condition()))
    try {
      await rest.postDetectorReport(organization, project, report, { signal })
    } catch (error) {
      cycles = 0 // the next cycle tells it
      throw error
    }
  }

  async function askTarget(signal: AbortSignal): Promise<void> {
    const target = await rest.deploymentTarget(organization, project, { signal })
    if (target === undefined && hasTarget !== false) log.warn('the project has no deployment target; the model stays')
    hasTarget = target !== undefined
    if (target !== undefined) detector.setTarget({ id: target.model_uuid, version: target.version })
  }

  return {
    open: async () => {
      cycles = 0
    },
    async cycle(signal) {
      const isDue = cycles % syncCycles === 0
      cycles += 1
      let failure: unknown
      // A Loop that takes no status may still know a target.
      if (isDue) await tellStatus(signal).catch((error: unknown) => (failure = error))
      if (detector.condition().operationMode === 'idle') await askTarget(signal)
      if (failure !== undefined) throw failure
    },
    tellStatus,
    close: async () => undefined,
  }
}
