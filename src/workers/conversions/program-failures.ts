import { backOffMs } from '../../base/index.js'
import { type ConversionFailure, type ConversionPayload, gpusToSpare, type ReleaseOptions } from '../../queue/index.js'
import { type Blame, gpusOf, type HostProgram } from '../engine/blame.js'
import type { Run } from '../engine/pipeline.js'
import type { ProgramOfConversion } from './convert-model.js'

/** As many as may fail within a day. */
const KEPT_FAILURES = 20

/** The program of one run of a conversion, as far as it is to blame for how it ends. */
export function createConversionProgram(run: Run<ConversionPayload>, hostId: string, blame: Blame) {
  const { id, name, payload, failures: countedBefore } = run.record
  const mark = `${id}.${run.claim.run}.convert`
  let program: HostProgram | undefined

  const onStart: ProgramOfConversion['onStart'] = (lease) => {
    const gpusOffered = blame.gpusOffered()
    program = { kind: 'conversion', name, id, mark, gpus: gpusOf(lease), gpusOffered, startedAt: performance.now() }
  }

  return {
    onStart,
    spare: gpusToSpare(payload.failedAttempts, countedBefore, hostId),
    endedWell(): void {
      if (program !== undefined) blame.succeeded(program, 'finished')
    },
    /** Notes that it has failed; returns how the record is released for another attempt, and undefined if there is none. */
    async failed(failure: ConversionFailure): Promise<ReleaseOptions<ConversionPayload> | undefined> {
      if (program === undefined) return undefined
      const end = { stage: 'convert', facts: failure, epoch: null, hasWorked: false, hasGained: false }
      const failed = await blame.failed(program, end)
      const failedAttempts = [...payload.failedAttempts, failed].slice(-KEPT_FAILURES)
      await run.update({ failedAttempts, failure }, failed.isCounted ? { failure: mark } : undefined)
      const counted = countedBefore + Number(failed.isCounted)
      const next = await blame.next({ record: run.record, failures: failedAttempts, counted, mayLeave: true })
      switch (next.next) {
        case 'none':
          return undefined
        case 'here':
          return { pauseMs: backOffMs(counted) }
        case 'elsewhere':
          return { avoid: next.avoid, avoidMs: next.avoidMs }
        default:
          return next satisfies never
      }
    },
  }
}
