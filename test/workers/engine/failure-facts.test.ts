import { expect } from 'chai'
import { CommandFailedError } from '../../../src/executors/contract/errors.js'
import { errorKeyOf } from '../../../src/queue/trainings/error-keys.js'
import { failureOf } from '../../../src/queue/trainings/failure-facts.js'
import { toFailureFacts } from '../../../src/workers/engine/failure-facts.js'
import { NoModelError, TrainerExitedError } from '../../../src/workers/trainings/errors.js'
import { aRecord } from '../a-training.js'

const where = { stage: 'train', hostId: 'host-a', attempt: 2, at: 1_000_000 } as const

describe('the facts of a failure', () => {
  const exited = (change: Partial<ConstructorParameters<typeof TrainerExitedError>[0]>) =>
    new TrainerExitedError({ exitCode: 3, signal: null, reported: null, lastLogLines: ['oh', 'no'], ...change })

  it('say where it was, what it was, and how the program ended', () => {
    expect(toFailureFacts(exited({}), where)).to.deep.equal({
      ...where,
      code: 'LF_TRAINER_EXITED',
      message: 'The trainer exited with code 3: no',
      failure: 'program',
      exitCode: 3,
      signal: null,
      outOfMemory: false,
      lastLogLines: ['oh', 'no'],
    })
  })

  it('say nothing of a program when none failed', () => {
    const facts = toFailureFacts(new NoModelError('There is none.'), where)

    expect(facts).to.deep.equal({ ...where, code: 'LF_NO_MODEL', message: 'There is none.', failure: 'fatal' })
    expect(toFailureFacts('thrown', where)).to.deep.include({ code: 'LF_UNEXPECTED', message: 'thrown' })
  })

  it('hold the newest lines, none longer than a terminal shows', () => {
    const lastLogLines = Array.from({ length: 50 }, (_, index) => `${index} ${'x'.repeat(1000)}`)

    const facts = toFailureFacts(exited({ lastLogLines }), where)

    expect(facts.lastLogLines).to.have.lengthOf(20)
    expect(facts.lastLogLines?.at(-1)).to.match(/^49 x{297}$/)
  })

  it('are read back from a record, also when it holds something else', () => {
    const failure = toFailureFacts(exited({}), where)

    expect(failureOf(aRecord({ facts: { failure } }))).to.deep.equal(failure)
    expect(failureOf(aRecord({ facts: { failure: 'bad' } }))).to.equal(undefined)
    expect(failureOf(aRecord())).to.equal(undefined)
    expect(failureOf(aRecord({ facts: JSON.parse(JSON.stringify({ failure })) }))).to.deep.equal(failure)
  })

  describe('know that memory ran out', () => {
    const isOut = (change: Parameters<typeof exited>[0]) => toFailureFacts(exited(change), where).outOfMemory

    it('when the program was killed, and not by us', () => {
      expect(isOut({ exitCode: null, signal: 'SIGKILL' })).to.equal(true)
      expect(isOut({ exitCode: 137 })).to.equal(true)
      expect(isOut({ exitCode: null, signal: 'SIGSEGV' })).to.equal(false)
      expect(exited({ exitCode: null, signal: 'SIGKILL' }).message).to.equal(
        'The trainer was ended by SIGKILL: as the kernel does it when the machine is out of memory',
      )
    })

    for (const line of [
      'RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB',
      'torch.OutOfMemoryError: HIP out of memory',
      'tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor',
      'MemoryError',
      'numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.00 GiB for an array with shape (1,)',
      "terminate called after throwing an instance of 'std::bad_alloc'",
      'OSError: [Errno 12] Cannot allocate memory',
    ]) {
      it(`when its log says "${line.slice(0, 40)}…"`, () => {
        expect(isOut({ lastLogLines: ['epoch 3', line, 'Traceback'] })).to.equal(true)
      })
    }

    it('of a command too', () => {
      const error = new CommandFailedError({ command: 'export', exitCode: 137, signal: null, lastLogLines: [] })

      expect(toFailureFacts(error, where).outOfMemory).to.equal(true)
      expect(error.message).to.include('out of memory')
    })
  })

  it('go to the Loop under the keys of its state machine also when no step was under way', () => {
    expect(errorKeyOf('initialized')).to.equal('prepare')
    expect(errorKeyOf('train_model_downloaded')).to.equal('run_training')
    expect(errorKeyOf('confusion_matrix_synced')).to.equal('upload_model')
    expect(errorKeyOf('detected')).to.equal('upload_detections')
  })
})
