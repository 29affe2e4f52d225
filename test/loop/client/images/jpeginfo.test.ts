import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { noiseJpeg } from '../../../helpers/jpegs.js'
import { idOf, project, some, useImageExchanges } from '../an-image-exchange.js'

describe('Image exchange with jpeginfo on the PATH', () => {
  const { open, folder } = useImageExchanges()
  const never = new AbortController().signal
  let jpeg: Buffer
  before(async () => {
    jpeg = await noiseJpeg()
  })
  const path = process.env.PATH
  afterEach(() => {
    process.env.PATH = path
  })

  async function install(script: string): Promise<void> {
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'jpeginfo'), script)
    await chmod(join(bin, 'jpeginfo'), 0o755)
    process.env.PATH = `${bin}${delimiter}${path}`
  }

  /** Judges by the last bytes of a file, whether the names come as arguments or one by one. */
  const judging = `judge() {
  case "$(tail -c 3 "$1")" in
    BAD) echo "$1 64 x 48 24bit N 99 WARNING bad OK?";;
    DIE) kill -9 $$;;
    *) echo "$1 64 x 48 24bit N 99 OK";;
  esac
}
case "$1 $2" in
  --version*) exit 0;;
  '-c -f') while read -r name; do judge "$name"; done;;
  *) shift; for name in "$@"; do judge "$name"; done;;
esac
exit 1
`
  const marked = (mark: string) => Buffer.concat([jpeg, Buffer.from(mark)])

  it('uses the images that it does not call OK, names them in a warning, and starts it once for all', async () => {
    const calls = join(folder.path, 'calls')
    await install(`#!/bin/sh\necho "$1" >> ${calls}\n${judging}`)
    const bad = new Set(['id-3', 'id-9'])
    const { exchange, logged } = await open((request) => ({ body: bad.has(idOf(request)) ? marked('BAD') : jpeg }), {
      useJpeginfo: true,
      concurrency: 4,
      maxConcurrency: 4,
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(60), signal: never })

    expect(fetched).to.deep.include({ corrupt: [], missing: [] })
    expect(fetched.available).to.have.lengthOf(60)
    expect(logged).to.have.lengthOf(1)
    expect(logged[0]).to.deep.include({
      images: 2,
      msg: 'jpeginfo does not call these images OK; they decode and are used',
    })
    expect(logged[0])
      .to.have.property('imageIds')
      .with.members([...bad])
    const starts = (await readFile(calls, 'utf8')).trim().split('\n')
    expect(starts.filter((call) => call === '-c').length).to.be.lessThan(5)
  })

  it('goes on behind an image that it dies over, which the own check found whole', async () => {
    await install(`#!/bin/sh\n${judging}`)
    const marks = new Map([
      ['id-7', 'DIE'],
      ['id-30', 'BAD'],
    ])
    const { exchange, logged } = await open((request) => ({ body: marked(marks.get(idOf(request)) ?? '') }), {
      useJpeginfo: true,
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(40), signal: never })

    expect(fetched.corrupt).to.deep.equal([])
    expect(fetched.available).to.include('id-7').and.to.have.lengthOf(40)
    expect(logged[0]).to.deep.include({ imageIds: ['id-30'] })
  })

  it('is given the names as arguments where there is no stdbuf', async () => {
    await install(`#!/bin/sh\nPATH='${path}'\n${judging}`)
    process.env.PATH = join(folder.path, 'bin')
    const { exchange, logged } = await open((request) => ({ body: idOf(request) === 'id-3' ? marked('BAD') : jpeg }), {
      useJpeginfo: true,
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(20), signal: never })

    expect(fetched.available).to.have.lengthOf(20)
    expect(logged[0]).to.deep.include({ imageIds: ['id-3'] })
  })

  it('is gone when the fetch is aborted', async () => {
    const pidFile = join(folder.path, 'pid')
    await install(`#!/bin/sh\ncase "$1" in --version) exit 0;; esac\necho $$ > ${pidFile}\n${judging}`)
    const ending = new AbortController()
    const { exchange } = await open(
      (request) => {
        if (idOf(request) === 'id-40') ending.abort(new Error('enough'))
        return idOf(request) < 'id-40' ? { body: jpeg } : { silent: true }
      },
      { useJpeginfo: true },
    )

    const error = await exchange
      .fetchImages({ ...project, ids: some(80), signal: ending.signal })
      .catch((thrown: unknown) => thrown)

    expect(error).to.have.property('message', 'enough')
    const pid = Number(await readFile(pidFile, 'utf8'))
    expect(() => process.kill(pid, 0)).to.throw('ESRCH')
    expect(await readdir(join(folder.path, 'acme', 'demo'))).to.deep.equal(['images'])
  })

  it('relies on the own check when it breaks down', async () => {
    await install('#!/bin/sh\nkill -9 $$\n')
    const { exchange } = await open((request) => ({ body: idOf(request) === 'id-1' ? 'no' : jpeg }), {
      useJpeginfo: true,
    })

    const fetched = await exchange.fetchImages({ ...project, ids: some(4), signal: never })

    expect(fetched.available).to.have.lengthOf(3)
    expect(fetched.corrupt).to.deep.equal(['id-1'])
  })
})
