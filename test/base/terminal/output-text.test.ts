import { expect } from 'chai'
import { OutputText } from '../../../src/base/terminal/output-text.js'
import { plainText } from '../../../src/base/terminal/plain-text.js'

const ESC = '\u001b'

type Read = { readonly lines: string[]; readonly pieces: string[] }

function read(...chunks: readonly (string | Uint8Array)[]): Read {
  const lines: string[] = []
  const pieces: string[] = []
  const text = new OutputText({ onLine: (line) => lines.push(line), onPiece: (piece) => pieces.push(piece) })
  for (const chunk of chunks) text.feed(Buffer.from(chunk))
  text.finish()
  return { lines, pieces }
}

/** All bytes one by one, so that every sequence and every character is split over chunks. */
function readBytes(text: string | Uint8Array): Read {
  return read(...[...Buffer.from(text)].map((byte) => Uint8Array.of(byte)))
}

/** Without SGR and nothing else. */
function visible(line: string): string {
  const [first = '', ...parts] = line.split(`${ESC}[`)
  return [first, ...parts.map((part) => part.replace(/^[\d;]+m/, ''))].join('')
}

describe('output text', () => {
  describe('for patterns', () => {
    it('has no control sequence in front of, within or behind what is looked for', () => {
      const { pieces } = read(`\r${ESC}[K${ESC}[34m${ESC}[1m      1${ESC}[0m/4      2.53G${ESC}[0m\n`)

      expect(pieces).to.deep.equal(['      1/4      2.53G'])
    })

    it('is every state of a line that writes over itself', () => {
      expect(read('10%\r20%\r30%\n').pieces).to.deep.equal(['10%', '20%', '30%'])
    })

    it('is every state of a bar that backspaces take back', () => {
      const back = '\b'.repeat(10)

      expect(read(`1/3 [>..]${back}\r2/3 [=>.]${back}\r3/3 [==>]\n`).pieces).to.deep.equal([
        '1/3 [>..]',
        '2/3 [=>.]',
        '3/3 [==>]',
      ])
    })

    it('is every state of bars below each other', () => {
      const { pieces } = read(`\router 1/2\n\rinner 1/9${ESC}[A\n\rinner 2/9${ESC}[A\router 2/2\n`)

      expect(pieces).to.deep.equal(['outer 1/2', 'inner 1/9', 'inner 2/9', 'outer 2/2'])
    })
  })

  describe('for people', () => {
    it('is the last state of a line that writes over itself', () => {
      expect(read('  0%|    |\r 50%|##  |\r100%|####|\ndone\n').lines).to.deep.equal(['100%|####|', 'done'])
    })

    it('is the first and the last state of bars below each other, and what follows them', () => {
      const inner = (step: number) => `\n\rinner ${step}/9${ESC}[A`
      const { lines } = read(`\router 1/2${inner(1)}${inner(2)}${inner(3)}\router 2/2${inner(9)}\n\ndone\n`)

      expect(lines).to.deep.equal(['outer 1/2', 'outer 2/2', 'inner 9/9', 'done'])
    })

    it('is the last state of a table that is drawn again and again', () => {
      const table = (state: string) => `epoch ${state}\nloss ${state}`
      const again = `\r${ESC}[2K${ESC}[1A${ESC}[2K`
      const { lines } = read(`${table('1')}${again}${table('2')}${again}${table('3')}\nend\n`)

      expect(lines.slice(-3)).to.deep.equal(['epoch 3', 'loss 3', 'end'])
      expect(lines.join()).not.to.contain('2')
    })

    it('keeps empty lines and Windows line ends as they are meant', () => {
      expect(read('one\r\n\r\ntwo\n\nthree').lines).to.deep.equal(['one', '', 'two', '', 'three'])
    })

    it('has a shorter text over a longer one as a terminal shows it', () => {
      expect(read('loading weights\rdone   \n', `a long one\r${ESC}[Kshort\n`).lines).to.deep.equal([
        'done    weights',
        'short',
      ])
    })

    it('keeps colours, each ended within its line and begun again in the next', () => {
      const { lines } = read(`${ESC}[31;1mred\nstill red${ESC}[m plain\n`)

      expect(lines).to.deep.equal([`${ESC}[31;1mred${ESC}[0m`, `${ESC}[31;1mstill red${ESC}[0m plain`])
    })

    it('keeps colours of 256 and of 16 million, also with colons, and nothing that hides or blinks', () => {
      const { lines } = read(`${ESC}[38;5;196ma${ESC}[48:2::1:2:3mb${ESC}[0;8;5mc${ESC}[38;5;999md${ESC}[>4;1me`)

      expect(lines).to.deep.equal([`${ESC}[38;5;196ma${ESC}[0m${ESC}[38;5;196;48;2;1;2;3mb${ESC}[0mcde`])
    })

    it('has what was not ended', () => {
      expect(read('half a li', 'ne').lines).to.deep.equal(['half a line'])
    })

    it('shows a line that still grows when it is asked for, and again when it has changed', () => {
      const lines: string[] = []
      const text = new OutputText({ onLine: (line) => lines.push(line) })
      text.feed(Buffer.from('10%'))
      text.showUnfinished()
      text.showUnfinished()
      text.feed(Buffer.from('\r20%'))
      text.showUnfinished()
      text.feed(Buffer.from('\n'))
      text.finish()

      expect(lines).to.deep.equal(['10%', '20%'])
      expect(text.isUnfinished).to.equal(false)
    })

    it('is bounded for a program that moves far away', () => {
      const { lines } = read(`${ESC}[999999999Ca${ESC}[999999999Ab${ESC}[99999999Bc${ESC}[999999999Gd\n`)

      expect(lines.join('').replaceAll(' ', '')).to.match(/^[abcd]+$/)
      expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(4096)
    })
  })

  for (const [what, bytes] of Object.entries({
    'a window title': `${ESC}]0;title\u0007`,
    'a title of screen': `${ESC}ktitle${ESC}\\`,
    'a link': `${ESC}]8;;https://example.org/${ESC}\\`,
    'a picture': `${ESC}P1;2q#0;2;0;0;0${ESC}\\`,
    'an application command': `${ESC}_Gf=100;AAAA${ESC}\\`,
    'a hidden cursor': `${ESC}[?25l`,
    'bracketed paste': `${ESC}[?2004h`,
    'keyboard modes': `${ESC}[>4;1m`,
    'a question to the terminal': `${ESC}[6n${ESC}[c`,
    'a character set': `${ESC}(0`,
    'NUL, BEL and DEL': '\u0000\u0007\u007f',
    '8-bit control sequences': '\u009b31m\u009d0;title\u009c\u0090q\u009c',
  })) {
    it(`has nothing of ${what}`, () => {
      const output = `be${bytes}fore\nafter\n`

      for (const found of [read(output), readBytes(output)]) {
        expect(found.pieces).to.deep.equal(['before', 'after'])
        expect(found.lines.map(plainText)).to.deep.equal(found.pieces)
      }
    })
  }

  it('goes on after a title without an end', () => {
    expect(read(`${ESC}]0;title\nepoch 1\n`).pieces).to.deep.equal(['epoch 1'])
  })

  it('is whole when every byte comes alone', () => {
    const output = `é ${ESC}[38;2;1;2;3m火${ESC}[0m 😀 ${ESC}]8;;x${ESC}\\link${ESC}]8;;${ESC}\\\r\n`

    expect(readBytes(output)).to.deep.equal(read(output))
    expect(readBytes(output).pieces).to.deep.equal(['é 火 😀 link'])
  })

  it('has U+FFFD for bytes that are no UTF-8, and loses nothing else', () => {
    const bytes = Buffer.concat([Buffer.from('Größe ', 'latin1'), Buffer.from([0xff, 0x00]), Buffer.from(' end\n')])

    expect(read(bytes).lines).to.deep.equal(['Gr\ufffd\ufffde \ufffd end'])
  })

  it('reads the letters of UTF-16', () => {
    expect(read(Buffer.from('epoch 3/4\n', 'utf16le')).pieces).to.deep.equal(['epoch 3/4'])
  })

  it('has no control character for whatever bytes there are', () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 7919 + (index >> 3) * 104_729) & 0xff)

    const { lines, pieces } = read(bytes)

    expect(pieces.join('\n')).not.to.match(/[^\P{Cc}\n\t]/u)
    expect(lines.map((line) => plainText(line).length)).to.deep.equal(lines.map((line) => visible(line).length))
  })
})
