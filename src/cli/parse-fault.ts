import { z } from 'zod'
import { InvalidInputError, messageOf } from '../base/index.js'
import { type FaultRule, faultRuleSchema } from '../mock/loop/index.js'

/** Reads the JSON of `--fault`; throws LF_INVALID_INPUT with what is wrong. */
export function parseFault(text: string): FaultRule {
  try {
    return faultRuleSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new InvalidInputError(`--fault ${text} is not usable (${reasonOf(error)}); see docs/local-loop.md.`)
  }
}

function reasonOf(error: unknown): string {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined
  return issue === undefined ? messageOf(error) : `${issue.path.join('.') || 'rule'}: ${issue.message}`
}
