import { setTimeout as sleep } from 'node:timers/promises'
import { LoopfleetError } from '../../base/index.js'
import type { LoopControl } from './loop-control.js'
import type { TrainingView } from './loop-views.js'
import type { DemoDeps } from './start-parts.js'

const CONVERTED_WITHIN_MS = 120_000

const FORMATS = ['onnx_fp16', 'onnx_int8']

/** What the demo saw of its converter, for the summary. */
export type ConversionFacts = {
  readonly formats: readonly string[]
  /** From the end of the training until the Loop had all of them. */
  readonly seconds: number
}

/** Waits until the converter has made its formats of the training's model. */
export async function convertOnce(
  { project, number }: { readonly project: string; readonly number: number },
  { control, context, view }: DemoDeps & { readonly control: LoopControl },
): Promise<{ readonly training: TrainingView; readonly conversion: ConversionFacts }> {
  view.say(`\nThe converter makes ${FORMATS.join(' and ')} of the model …`)
  const startedAt = performance.now()
  for (;;) {
    const training = await control.training(project, number)
    const formats = training.models[0]?.formats.filter((format) => FORMATS.includes(format)) ?? []
    const ms = performance.now() - startedAt
    if (formats.length === FORMATS.length)
      return { training, conversion: { formats, seconds: Math.round(ms / 100) / 10 } }
    if (ms > CONVERTED_WITHIN_MS) {
      throw new LoopfleetError('LF_DEMO_FAILED', 'The model was not converted; `loopfleet conversions` says why.')
    }
    await sleep(300, undefined, { signal: context.signal })
  }
}
