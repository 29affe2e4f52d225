import type { FailureFacts } from '../../queue/index.js'
import { ago } from '../output.js'

/** The last failure for people; a recovered one too, since it may happen again. */
export function failureText(failure: FailureFacts, nowMs: number): string {
  const { stage, attempt, exitCode, signal, outOfMemory, lastLogLines = [] } = failure
  const where = stage === undefined ? '' : ` in ${stage}${attempt === undefined ? '' : `, attempt ${attempt}`}`
  const how = signal ? `signal ${signal}` : `exit code ${exitCode}`
  return [
    `Last failure${where} on ${failure.hostId}, ${ago(failure.at, nowMs)} ago: ${failure.message} [${failure.code}]`,
    ...(exitCode === undefined ? [] : [`The program ended with ${how}${outOfMemory ? ' (out of memory)' : ''}.`]),
    ...(lastLogLines.length === 0 ? [] : ['Its last lines:', ...lastLogLines.map((line) => `  ${line}`)]),
  ].join('\n')
}
