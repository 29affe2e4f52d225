import { expect } from 'chai'
import { InvalidInputError, LoopfleetError } from '../../src/base/errors.js'
import { finalErrorOf } from '../../src/cli/final-error.js'

describe('the last word of a command', () => {
  it('is the sentence of an error of ours with its code', () => {
    expect(finalErrorOf(new InvalidInputError('No.'))).to.deep.equal({
      sentence: 'No. [LF_INVALID_INPUT]',
      exitCode: 2,
    })
    expect(finalErrorOf(new LoopfleetError('LF_X', 'Gone.'))).to.deep.equal({ sentence: 'Gone. [LF_X]', exitCode: 1 })
  })

  it('names the file of an error of the operating system', () => {
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      path: '/data/x',
    })

    expect(finalErrorOf(error)?.sentence).to.match(/^\/data\/x cannot be used \(ENOSPC: no space left on device\)/)
  })

  it('is the answer of Redis when that refuses a command', () => {
    const refused = Object.assign(new Error("NOPERM this user has no permissions to run the 'evalsha' command"), {
      name: 'ReplyError',
    })

    expect(finalErrorOf(refused)?.sentence)
      .to.contain("'evalsha'")
      .and.match(/\[LF_REDIS_UNFIT\]$/)
  })

  it('leaves our own mistakes to their stack trace', () => {
    expect(finalErrorOf(new TypeError('x is not a function'))).to.equal(undefined)
    expect(finalErrorOf('thrown text')).to.equal(undefined)
  })
})
