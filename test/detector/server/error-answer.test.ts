import { expect } from 'chai'
import { LoopfleetError } from '../../../src/base/errors.js'
import { ClientGoneError } from '../../../src/detector/server/client-signal.js'
import { toErrorAnswer } from '../../../src/detector/server/error-answer.js'
import { DetectorRequestError } from '../../../src/detector/serving/errors.js'
import { InferenceError, type InferenceErrorCode } from '../../../src/inference/basics/errors.js'

describe('The answer to an error', () => {
  it('is 503 with a time to come again for what passes by itself', () => {
    const passing: InferenceErrorCode[] = [
      'LF_INFERENCE_BUSY',
      'LF_INFERENCE_DEADLINE',
      'LF_INFERENCE_TIMEOUT',
      'LF_INFERENCE_THREAD_DIED',
      'LF_INFERENCE_CLOSED',
    ]
    for (const code of passing) {
      expect(toErrorAnswer(new InferenceError(code, 'Later.')), code).to.include({ status: 503, isOurs: false })
      expect(toErrorAnswer(new InferenceError(code, 'Later.')).retryAfterSeconds).to.be.greaterThan(0)
    }
    const asked = new InferenceError('LF_INFERENCE_BUSY', 'Later.', { details: { retryAfterSeconds: 6.2 } })
    expect(toErrorAnswer(asked).retryAfterSeconds).to.equal(7)
  })

  it('is 503 with the reason while the disk is full', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })

    expect(toErrorAnswer(full)).to.include({ status: 503, retryAfterSeconds: 5, isOurs: false })
    expect(toErrorAnswer(full).sentence).to.contain('disk').and.to.contain('ENOSPC')
  })

  it('is 4xx for what the client must fix', () => {
    expect(toErrorAnswer(new InferenceError('LF_IMAGE_UNREADABLE', 'No.'))).to.include({ status: 400 })
    expect(toErrorAnswer(new InferenceError('LF_IMAGE_TOO_LARGE', 'No.'))).to.include({ status: 413 })
    expect(toErrorAnswer(new LoopfleetError('LF_DETECTOR_VERSION', 'No.'))).to.include({ status: 400 })
    expect(toErrorAnswer(new DetectorRequestError('No.', { status: 422 }))).to.include({ status: 422 })
  })

  it('is no mistake of ours when the client has gone', () => {
    expect(toErrorAnswer(new ClientGoneError())).to.include({ status: 499, isOurs: false })
  })

  it('tells nothing of what is inside when it is our mistake', () => {
    const answer = toErrorAnswer(new TypeError("Cannot read properties of undefined (reading 'secret')"))

    expect(answer).to.include({ status: 500, isOurs: true })
    expect(answer.sentence).not.to.contain('secret')
    expect(toErrorAnswer(new InferenceError('LF_DETECT_OUTPUT', 'Odd.'))).to.include({ status: 500, isOurs: true })
  })
})
