import { expect } from 'chai'
import { answerSchema, errorAnswer, okAnswer, toAnswer } from '../../../src/loop/protocol/index.js'

describe('the answer envelope', () => {
  it('of a text has the text as payload', () => {
    expect(toAnswer('<svg/>')).to.deep.equal({ success: true, error_msg: null, payload: '<svg/>' })
    expect(toAnswer('')).to.deep.equal({ success: true, error_msg: null, payload: '' })
  })

  it('of a boolean has it as success', () => {
    expect(toAnswer(true)).to.deep.equal({ success: true, error_msg: null, payload: null })
    expect(toAnswer(false)).to.deep.equal({ success: false, error_msg: null, payload: null })
  })

  it('of nothing is no envelope at all', () => {
    expect(toAnswer(undefined)).to.equal(undefined)
    expect(toAnswer(null)).to.equal(undefined)
  })

  for (const result of [{ a: 1 }, [1], 7, 7n, Symbol('s'), () => true]) {
    it(`of ${typeof result} ${String(result).slice(0, 20)} is an error`, () => {
      expect(toAnswer(result)).to.deep.include({ success: false, payload: null })
    })
  }

  it('of an error carries its text', () => {
    expect(toAnswer(new Error('no disk'))).to.deep.equal(errorAnswer('no disk'))
  })

  it('is read with its missing optional keys as null', () => {
    expect(answerSchema.parse({ success: true })).to.deep.equal(okAnswer())
  })

  for (const answer of [undefined, null, true, [], {}, { success: 1 }, { success: true, error_msg: 5 }]) {
    it(`is not ${JSON.stringify(answer)}`, () => {
      expect(answerSchema.safeParse(answer).success).to.equal(false)
    })
  }
})
