// `node scripts/screenshots.mjs [--out DIR]`: runs the demo and takes pictures of the local Loop's page and of the
// dashboard, during the training and after it, and of the detector's API page, for docs/pictures. With
// `--loop URL --dashboard URL --detector URL` it takes those of the end from what runs there already.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { root } from './setup.mjs'

const MAX_BYTES = 200_000
const { values: flags } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'docs/pictures') },
    loop: { type: 'string' },
    dashboard: { type: 'string' },
    detector: { type: 'string' },
    short: { type: 'boolean', default: false },
  },
})
mkdirSync(flags.out, { recursive: true })

const browser = await chromium.launch({
  executablePath: findBrowser(),
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars'],
})
try {
  if (flags.loop && flags.dashboard) await takeEnd(flags)
  else
    await withDemo(async (demo) => {
      await demo.until('running')
      await takeMiddle(demo.addresses)
      await demo.ended
      await takeEnd(demo.addresses)
    })
} finally {
  await browser.close()
}

async function takeMiddle({ loop, dashboard }) {
  const training = await until('the training has a best model', async () => {
    const [latest] = (await getJson(`${dashboard}/api/trainings`)).trainings
    return latest?.best && latest.progress > 0.4 && latest.current.some(({ process }) => process) ? latest : undefined
  })
  await take('fleet-running', `${dashboard}/#${training.id}`, { ready: '#log:not(:empty)', height: 940 })
  await take('loop-running', loop, { ready: '#images img', height: 620 })
  const { queue, jobId } = training.current.find(({ stage }) => stage === 'train')
  await take('job', jobAddress(dashboard, queue, jobId), { ready: `text=${jobId}`, height: 760 })
  await take('job-log', jobAddress(dashboard, queue, jobId), { ready: `text=${jobId}`, press: 'Logs', height: 620 })
}

async function takeEnd(addresses) {
  const { loop, dashboard } = addresses
  if (addresses.detector) {
    const page = `${addresses.detector}/docs`
    await take('detector-api', page, {
      ready: '.opblock',
      press: '/detect',
      top: '.opblock.is-open .opblock-section-request-body',
    })
  }
  const project = `${loop}/#demo/shapes`
  await take('loop', project, { ready: '#images svg rect', height: 1000 })
  await take('deployment', project, { ready: '#models [data-model=""]', of: 'section:has(#models)' })
  await until('the host has told that it is free again', async () => {
    const { hosts } = await getJson(`${dashboard}/api/hosts`)
    return hosts.every(({ free, places }) => free === places)
  })
  const [training] = (await getJson(`${dashboard}/api/trainings`)).trainings
  await take('fleet', `${dashboard}/#${training.id}`, { ready: '#log:not(:empty)', dark: true })
  await take('conversions', dashboard, { ready: '[data-conversion]', of: '#conversions-card' })
  await take('queues', `${dashboard}/queues`, { ready: 'text=trainings', height: 620 })
}

function jobAddress(dashboard, queue, jobId) {
  return `${dashboard}/queues/queue/${encodeURIComponent(queue)}/${encodeURIComponent(jobId)}`
}

/** One picture in few colours, so that it stays small: of what is seen, or of the element `of`. */
async function take(name, url, { ready, press, top, of, dark = false, width = 1280, height = 900 }) {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
    timezoneId: 'UTC',
  })
  try {
    await page.goto(url)
    await page.locator(ready).first().waitFor()
    if (press !== undefined) await page.getByText(press, { exact: true }).first().click()
    await page.getByText('Loading').first().waitFor({ state: 'hidden' })
    await page.waitForFunction(hasItsImages)
    if (top !== undefined)
      await page
        .locator(top)
        .first()
        .evaluate((element) => element.scrollIntoView())
    await save(name, await (of === undefined ? page : page.locator(of)).screenshot())
  } finally {
    await page.close()
  }
}

/** In the page: the images in sight are there. Those further down are not even asked for before somebody scrolls. */
function hasItsImages() {
  const isFurtherDown = (image) => image.getBoundingClientRect().top > window.innerHeight
  return [...document.images].every((image) => image.complete || isFurtherDown(image) || !image.checkVisibility())
}

async function save(name, screenshot) {
  const path = join(flags.out, `${name}.png`)
  for (const quality of [95, 80, 60]) {
    const { size } = await sharp(screenshot).png({ palette: true, quality, effort: 10 }).toFile(path)
    if (size > MAX_BYTES) continue
    process.stdout.write(`${path}  ${Math.round(size / 1000)} kB\n`)
    return
  }
  throw new Error(`${path} has more than the ${MAX_BYTES} bytes that are for a picture in the repository.`)
}

/** Runs the demo and leaves it running while `work` looks at it. */
async function withDemo(work) {
  const folder = mkdtempSync(join(tmpdir(), 'loopfleet-pictures-'))
  const args = ['demo', '--keep', '--data', folder, ...(flags.short ? ['--short'] : [])]
  const demo = spawn(process.execPath, [join(root, 'dist/src/cli/main.js'), ...args], {
    stdio: ['ignore', 'inherit', 'pipe'],
    env: { ...process.env, LOOPFLEET_HOST_NAME: 'lab-1' }, // not the name of the machine it happens to run on
  })
  let said = ''
  demo.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
    process.stderr.write(text)
  })
  const exited = new Promise((resolve) => demo.once('exit', resolve))
  const hasSaid = (text) => until(text, () => failIfGone() ?? said.includes(text))
  function failIfGone() {
    if (demo.exitCode !== null) throw new Error('The demo has ended too early.')
  }
  try {
    await hasSaid('  running')
    const addresses = {
      loop: readyUrl(folder, 'loop'),
      dashboard: readyUrl(folder, 'dashboard'),
      /** Of the detector, which is started after the training. */
      get detector() {
        return readyUrl(folder, 'detector')
      },
    }
    await work({
      addresses,
      until: hasSaid,
      get ended() {
        return hasSaid('All is left running')
      },
    })
  } finally {
    demo.kill('SIGTERM')
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The address a part of the demo has told in its log. */
function readyUrl(folder, part) {
  const log = readFileSync(join(folder, 'logs', `${part}.log`), 'utf8')
  return JSON.parse(new RegExp(`^loopfleet ${part} is ready (.*)$`, 'm').exec(log)?.[1] ?? '{}').url
}

async function getJson(url) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return await response.json()
}

async function until(what, look, withinMs = 600_000) {
  const giveUpAt = Date.now() + withinMs
  for (;;) {
    const answer = await look()
    if (answer) return answer
    if (Date.now() > giveUpAt) throw new Error(`Not within ${withinMs / 1000} s: ${what}`)
    await sleep(200)
  }
}

function findBrowser() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      if (statSync(join(folder, name), { throwIfNoEntry: false })?.isFile()) return join(folder, name)
    }
  }
  throw new Error('There is no chromium on the PATH; `npm run setup` installs it.')
}
