import { expect } from 'chai'
import { parsePythonJson } from '../../src/base/python-json.js'

describe('JSON as Python writes it', () => {
  it('may hold NaN and infinities, which are null', () => {
    const text = '{"map": NaN, "list": [Infinity,-Infinity], "name": "NaN, \\"Infinity\\"", "n": 1}'

    expect(parsePythonJson(text)).to.deep.equal({ map: null, list: [null, null], name: 'NaN, "Infinity"', n: 1 })
  })

  it('may begin with a byte order mark', () => {
    expect(parsePythonJson('\uFEFF{"a": 1}')).to.deep.equal({ a: 1 })
  })

  it('is refused otherwise as any JSON', () => {
    for (const text of ['', '{"a": 1,}', '{"a": nan}', "{'a': NaN}", '{"a": NaNa}', '{"a": NaN', '{NaN: 1}']) {
      expect(() => parsePythonJson(text), text).to.throw(SyntaxError)
    }
  })
})
