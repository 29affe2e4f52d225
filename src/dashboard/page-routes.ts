import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'

const HTML = 'text/html; charset=utf-8'
const SCRIPT = 'text/javascript; charset=utf-8'
const FILES = {
  '/': { file: 'index.html', type: HTML },
  '/page/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
  '/page/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
  '/page/page.js': { file: 'page.js', type: SCRIPT },
  '/page/trainings.js': { file: 'trainings.js', type: SCRIPT },
  '/page/detail.js': { file: 'detail.js', type: SCRIPT },
  '/page/curves.js': { file: 'curves.js', type: SCRIPT },
  '/page/conversions.js': { file: 'conversions.js', type: SCRIPT },
  '/page/fleet.js': { file: 'fleet.js', type: SCRIPT },
  '/page/log.js': { file: 'log.js', type: SCRIPT },
  '/page/dom.js': { file: 'dom.js', type: SCRIPT },
} as const

/** The fleet page at `/`: plain files beside this module, nothing from elsewhere. */
export function registerPage(app: FastifyInstance): void {
  for (const [path, { file, type }] of Object.entries(FILES)) {
    app.get(path, async (_request, reply) => {
      const text = await readFile(new URL(`page/${file}`, import.meta.url), 'utf8')
      return await reply.type(type).send(text)
    })
  }
}
