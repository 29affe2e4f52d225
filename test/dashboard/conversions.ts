import {
  type ConversionFailure,
  type ConversionOrder,
  conversionIdOf,
} from '../../src/queue/conversions/conversion-record.js'
import type { Conversions } from '../../src/queue/conversions/conversions.js'
import { claimAs, hostA } from '../queue/records/sample-records.js'

export const anOrderToConvert: ConversionOrder = {
  converter: 'quantize',
  organization: 'zauberzeug',
  project: 'demo',
  resource: '/zauberzeug/projects/demo',
  modelId: 'm1',
  modelVersion: '1.3',
  sourceFormat: 'onnx',
  targetFormat: 'onnx_int8',
}

export const aFailure: ConversionFailure = {
  code: 'LF_COMMAND_FAILED',
  message: 'The command python quantize.py exited with code 1: no such layer',
  failure: 'program',
  hostId: 'host-a',
  exitCode: 1,
  signal: null,
  lastLogLines: ['loading', 'no such layer'],
  at: 1,
}

/** A conversion that has failed in its first run. */
export async function failConversion(
  conversions: Conversions,
  change: Partial<ConversionOrder> = {},
  failure: ConversionFailure = aFailure,
): Promise<string> {
  const order = { ...anOrderToConvert, ...change }
  const id = conversionIdOf(order)
  await conversions.plan(order, { definition: 'd1', readAt: await conversions.now() })
  const claim = await claimAs(conversions.records, id, { ...hostA, host: 'host-a' })
  await conversions.records.finish(claim, 'failed', { failure })
  return id
}
