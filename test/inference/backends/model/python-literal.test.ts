import { expect } from 'chai'
import { parsePythonLiteral } from '../../../../src/inference/backends/model/python-literal.js'

describe('a Python literal', () => {
  it('is read as Python writes it', () => {
    const cases: [string, unknown][] = [
      [
        "{0: 'person', 1: 'it\\'s', 2: \"b's\"}",
        new Map([
          [0, 'person'],
          [1, "it's"],
          [2, "b's"],
        ]),
      ],
      ["['a', \"b\", 'c',]", ['a', 'b', 'c']],
      ["('a',)", ['a']],
      ['()', []],
      [
        "{'batch': 1, 'half': False, 'nms': True, 'x': None, 'y': -1.5e-3}",
        new Map<string, unknown>([
          ['batch', 1],
          ['half', false],
          ['nms', true],
          ['x', null],
          ['y', -0.0015],
        ]),
      ],
      [
        "{0: 'caf\u00e9', 1: '\\xe9\\u4e2d\\U0001f600', 2: 'a\\\\b\\n'}",
        new Map([
          [0, 'caf\u00e9'],
          [1, '\u00e9\u4e2d\u{1f600}'],
          [2, 'a\\b\n'],
        ]),
      ],
      [" { 0 : 'a' } ", new Map([[0, 'a']])],
      ["'{0: 1}'", '{0: 1}'],
      ['True', true],
      ['640', 640],
      ['[[1, 2], [3]]', [[1, 2], [3]]],
    ]
    for (const [text, value] of cases) expect(parsePythonLiteral(text), text).to.deep.equal(value)
  })

  it('is nothing where the text is none', () => {
    const texts = [
      '',
      ' ',
      'person',
      "{0: 'a'",
      "{0 'a'}",
      "'open",
      "{0: 'a'} x",
      '{[1]: 2}',
      "'\\U99999999'",
      '{0: a}',
      '1 2',
      `${'['.repeat(50)}${']'.repeat(50)}`,
    ]
    for (const text of texts) expect(parsePythonLiteral(text), text).to.equal(undefined)
  })

  it('of a megabyte takes no time', () => {
    const startedAt = performance.now()
    const names = Array.from({ length: 50_000 }, (_, index) => `${index}: 'class ${index}'`)

    const value = parsePythonLiteral(`{${names.join(', ')}}`)

    expect(value).to.have.property('size', 50_000)
    expect(parsePythonLiteral(`{0: '${'\\'.repeat(999_999)}`)).to.equal(undefined)
    expect(performance.now() - startedAt).to.be.below(3000)
  })
})
