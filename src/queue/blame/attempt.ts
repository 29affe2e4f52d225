import { z } from 'zod'

const causes = ['program', 'memory', 'hung', 'gpu'] as const
/**
 * What a program failed of: an ECC or XID error of a GPU; too little memory; it hung; or anything else, for which the program is to blame
 * until another place shows that it is not.
 */
export type FailureCause = (typeof causes)[number]

const gpuSchema = z.object({ key: z.string(), index: z.int().min(0) })
/** A GPU: the same key for the same card in every reading, and its index for people. */
export type PlaceGpu = z.infer<typeof gpuSchema>

/** A program that has failed, as the record of its training or conversion keeps it. */
export const failedAttemptSchema = z.object({
  /** By the clock of Redis. */
  at: z.number(),
  stage: z.string(),
  hostId: z.string(),
  /** None on the CPU. */
  gpus: z.array(gpuSchema),
  /** How many GPUs the host offered then. */
  gpusOffered: z.int().min(0).default(0),
  /** The trainer or converter. */
  name: z.string(),
  cause: z.enum(causes).catch('program'),
  /** The last one that it reported; null if there was none. */
  epoch: z.number().nullable(),
  seconds: z.number(),
  /** Against the budget: it got no further than the training had been before, and its host or GPU was not on trial. */
  isCounted: z.boolean(),
  isOnTrial: z.boolean(),
})
export type FailedAttempt = z.infer<typeof failedAttemptSchema>

/** What a failed program leaves behind. */
export type FailureSigns = {
  readonly code: string
  readonly message: string
  readonly outOfMemory?: boolean | undefined
  readonly lastLogLines?: readonly string[] | undefined
}

const ECC =
  /uncorrectable ECC|double.bit ECC|ECC error encountered|cudaErrorECCUncorrectable|CUDA_ERROR_ECC_UNCORRECTABLE|fallen off the bus/i
const XID = /\bXid\b\s{0,5}(?:\([^)\n]{0,40}\))?[\s:=]{0,5}(\d+)/gi
/** By NVIDIA's list these come from what a program does: they say nothing of the card. */
const XIDS_OF_PROGRAMS = new Set([13, 31, 43, 45, 68, 69])

/** A pure function of what the program has left. */
export function causeOf({ code, message, outOfMemory, lastLogLines = [] }: FailureSigns): FailureCause {
  const text = [...lastLogLines, message].map((line) => line.slice(0, 2_000)).join('\n')
  if (ECC.test(text) || [...text.matchAll(XID)].some(([, xid]) => !XIDS_OF_PROGRAMS.has(Number(xid)))) return 'gpu'
  if (outOfMemory === true) return 'memory'
  return code === 'LF_COMMAND_TIMED_OUT' || /no sign of life for/.test(message) ? 'hung' : 'program'
}
