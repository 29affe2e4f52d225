import { expect } from 'chai'
import { filesOf } from '../../../src/detector/server/form-files.js'
import type { DetectorRequestError } from '../../../src/detector/serving/errors.js'

const LIMITS = { maxFiles: 5 }
const FORM = 'multipart/form-data; boundary=b'
const file = (content: string | Buffer, head = 'Content-Disposition: form-data; name="file"; filename="a.jpg"') =>
  Buffer.concat([Buffer.from(`--b\r\n${head}\r\n\r\n`), Buffer.from(content), Buffer.from('\r\n')])
const form = (...parts: Buffer[]) => Buffer.concat([...parts, Buffer.from('--b--\r\n')])
const read = (body: Buffer, type = FORM) =>
  filesOf(body, type, LIMITS).map(({ name, bytes }) => [name, bytes.toString('latin1')])

function refusal(body: Buffer, type = FORM): number {
  try {
    filesOf(body, type, LIMITS)
  } catch (error) {
    return (error as DetectorRequestError).details.status
  }
  return 200
}

describe('The files of a form', () => {
  it('are those that clients write', async () => {
    const made = new FormData()
    made.append('word', 'x')
    made.append('file', new Blob(['one']), 'ä "b"; name=c.jpg')
    made.append('other', new Blob(['two']), 'b')
    const request = new Request('http://a', { method: 'POST', body: made })

    const files = read(Buffer.from(await request.arrayBuffer()), request.headers.get('content-type') ?? '')

    expect(files).to.deep.equal([
      ['file', 'one'],
      ['other', 'two'],
    ])
  })

  it('keep every byte, also such that look like the end of a part', () => {
    const bytes = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
    for (const content of [
      bytes,
      Buffer.from('\r\n--\r\n--a\r\n\r\n--'),
      Buffer.from('--b'),
      Buffer.alloc(300_000, '\r\n--'),
      Buffer.alloc(0),
    ]) {
      expect(read(form(file(content)))).to.deep.equal([['file', content.toString('latin1')]])
    }
  })

  it('are read in all spellings of the head and the boundary', () => {
    const heads = [
      'content-disposition:form-data;name=file;filename=a',
      'Content-Type: image/jpeg\r\nCONTENT-DISPOSITION: form-data; filename="C:\\\\a\\"b;name=x"; name="file"\r\nX: y',
      "Content-Disposition: form-data; name=file; filename*=UTF-8''a",
      'Content-Disposition: form-data; name="file"\r\nContent-Type: application/octet-stream',
      'Content-Disposition: form-data; name="file"; filename="Bär 熊.jpg"',
      'Content-Disposition: Form-Data; Name="file"; FileName="a.jpg"',
      'Content-Disposition: form-data;NAME = file;FILENAME = a',
      "Content-Disposition: form-data; Name=file; FileName*=UTF-8''a",
      'Content-Disposition: form-data; filename="a; Name=\\"other\\"; NAME=b"; name=file',
      'Content-Disposition: form-data; Name="file"\r\nContent-Type: Application/Octet-Stream',
    ]
    for (const head of heads) expect(read(form(file('x', head))), head).to.deep.equal([['file', 'x']])
    for (const type of ['Multipart/Form-Data; charset=x; Boundary="b"', 'multipart/form-data;boundary=b ; c=d']) {
      expect(read(form(file('x')), type), type).to.deep.equal([['file', 'x']])
    }
    const preamble = Buffer.from('passed over\r\n')
    const blanks = Buffer.from('--b \t\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx\r\n--b--')
    expect(read(Buffer.concat([preamble, blanks]))).to.deep.equal([['file', 'x']])
    expect(read(Buffer.concat([Buffer.from('\r\n'), form(file('x'))]))).to.deep.equal([['file', 'x']])
  })

  it('keep the case of their names', () => {
    const named = file('x', 'Content-Disposition: form-data; Name="File"; filename="Name=A"')

    expect(read(form(named))).to.deep.equal([['File', 'x']])
  })

  it('are none where there are only words, or nothing', () => {
    const words = file('x', 'Content-Disposition: form-data; name="file"')
    for (const body of [form(words), form(), form(file('x', 'X: y')), form(file('x', 'X: y; filename=a'))]) {
      expect(read(body)).to.deep.equal([])
    }
  })

  it('are refused with 400 when the body is no form or breaks off, wherever it does', () => {
    const whole = form(file('some bytes'))
    const end = whole.indexOf('--b--')
    for (let length = 0; length < end + 4; length += 1) {
      expect(refusal(whole.subarray(0, length)), `${length} bytes`).to.equal(400)
    }
    const long = 'x'.repeat(5000)
    expect(refusal(form(file('x', `X: ${long}\r\nContent-Disposition: form-data`)))).to.equal(400)
    expect(refusal(Buffer.from('--b\rx'))).to.equal(400)
    const latin1 = Buffer.from('Content-Disposition: form-data; name="file"; filename="B\u00e4r.jpg"', 'latin1')
    expect(refusal(Buffer.concat([Buffer.from('--b\r\n'), latin1, Buffer.from('\r\n\r\nx\r\n--b--')]))).to.equal(400)
    for (const type of ['multipart/form-data', 'multipart/form-data; boundary=', `${FORM.slice(0, -1)}${long}`]) {
      expect(refusal(whole, type), type.slice(0, 40)).to.equal(400)
    }
  })

  it('are refused with 413 when they are too many, or are among too many words', () => {
    const word = file('x', 'Content-Disposition: form-data; name=a')

    expect(refusal(form(...Array(5).fill(file('x')), ...Array(20).fill(word)))).to.equal(200)
    expect(refusal(form(...Array(6).fill(file('x'))))).to.equal(413)
    expect(refusal(form(...Array(21).fill(word)))).to.equal(413)
  })

  it('are found in good time in what is made to take long', function () {
    this.timeout(20_000)
    const same = 'a'.repeat(200)
    const bodies: [string, Buffer][] = [
      [same, Buffer.alloc(8_000_000, 'a')],
      [`${same.slice(1)}b`, Buffer.from(`\r\n--${same}`.repeat(40_000))],
      ['b', form(file('x', `Content-Disposition: form-data${';a="'.repeat(1000)}`))],
      ['b', form(file('x', `Content-Disposition: form-data${';a="\\'.repeat(800)}`))],
      ['b', Buffer.from('--b\r\n\r\n'.repeat(2_000_000))],
      ['b', Buffer.from('--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n'.repeat(200_000))],
      ['b', form(...Array(100_000).fill(file('')))],
      ['b', Buffer.from(`--b${' '.repeat(4_000_000)}`)],
    ]
    for (const [boundary, body] of bodies) {
      const startedAt = performance.now()
      refusal(body, `multipart/form-data; boundary=${boundary}`)
      expect(performance.now() - startedAt, boundary).to.be.at.most(5000)
    }
  })
})
