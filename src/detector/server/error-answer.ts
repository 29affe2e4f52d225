import { hasCode, LoopfleetError, messageOf } from '../../base/index.js'
import { isImageError } from '../../images/index.js'
import { ProtocolError } from '../../loop/protocol/index.js'
import { DetectorRequestError, type FieldProblem } from '../serving/errors.js'
import { ClientGoneError } from './client-signal.js'

/** The answer to a client about a failure. */
export type ErrorAnswer = {
  readonly status: number
  /** A sentence, or the list of wrong fields. */
  readonly detail: string | readonly FieldProblem[]
  /** The same as one sentence, for the socket. */
  readonly sentence: string
  readonly retryAfterSeconds?: number
  /** A mistake of ours, which belongs in the log. */
  readonly isOurs: boolean
}

/** Not read by any client; it distinguishes such requests in the metrics. */
const CLIENT_GONE = 499

/** After how many seconds it makes sense to ask again, for what passes by itself. */
const PASSING: Readonly<Record<string, number>> = {
  LF_DETECTOR_NO_MODEL: 5,
  LF_DETECTOR_UPDATING: 2,
  LF_OUTBOX_WRITE: 5,
  LF_OUTBOX_FULL: 5,
  LF_OUTBOX_CLOSED: 2,
  LF_INFERENCE_BUSY: 1,
  LF_INFERENCE_DEADLINE: 1,
  LF_INFERENCE_TIMEOUT: 1,
  LF_INFERENCE_THREAD_DIED: 1,
  LF_INFERENCE_PROGRAM_DIED: 1,
  LF_INFERENCE_DOWN: 5,
  LF_INFERENCE_CLOSED: 1,
}

/** No mistake of ours either: people make room. */
const DISK_TROUBLES = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO']
const DISK_SECONDS = 5

/** Maps anything that was thrown: 503 for what is temporary, 4xx for what the client must fix, 500 for our mistakes. */
export function toErrorAnswer(thrown: unknown): ErrorAnswer {
  const sentence = messageOf(thrown)
  if (thrown instanceof DetectorRequestError) return fromRequestError(thrown)
  if (thrown instanceof ClientGoneError) return plain(CLIENT_GONE, sentence)
  if (thrown instanceof ProtocolError) return plain(422, sentence)
  if (isImageError(thrown)) return plain(thrown.code === 'LF_IMAGE_TOO_LARGE' ? 413 : 400, sentence)
  if (thrown instanceof LoopfleetError) {
    const usual = PASSING[thrown.code]
    if (usual !== undefined) return { ...plain(503, sentence), retryAfterSeconds: askedSeconds(thrown) ?? usual }
    if (thrown.code === 'LF_DETECTOR_VERSION') return plain(400, sentence)
    return { ...plain(500, sentence), isOurs: true }
  }
  if (hasCode(thrown, ...DISK_TROUBLES)) {
    return { ...plain(503, `The detector cannot write to its disk: ${sentence}.`), retryAfterSeconds: DISK_SECONDS }
  }
  const status = clientStatusOf(thrown)
  if (status !== undefined) return plain(status, sentence)
  return { ...plain(500, 'Internal error; the log of the detector says more.'), isOurs: true }
}

function plain(status: number, sentence: string): ErrorAnswer {
  return { status, detail: sentence, sentence, isOurs: false }
}

function fromRequestError(error: DetectorRequestError): ErrorAnswer {
  const { status, fields } = error.details
  const answer = { ...plain(status, error.message), ...(fields !== undefined && { detail: fields }) }
  return status === 503 ? { ...answer, retryAfterSeconds: 2 } : answer
}

function askedSeconds({ details }: LoopfleetError): number | undefined {
  const seconds = details.retryAfterSeconds
  return typeof seconds === 'number' && seconds > 0 ? Math.ceil(seconds) : undefined
}

/** The status of an error of the HTTP server itself: too large, malformed, too slow. */
function clientStatusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown) || typeof thrown.statusCode !== 'number') return undefined
  return thrown.statusCode >= 400 && thrown.statusCode < 500 ? thrown.statusCode : undefined
}
