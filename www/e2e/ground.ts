// What tests of several tabs stand on: a hub, a wire to it that counts, and an origin that serves the package.
import { type BrowserContext, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";
import { Site, Wire } from "./site.js";

export class Ground {
  hub!: Hub;
  site!: Site;
  wire!: Wire;

  /** What an `import` in a page names. */
  get entry(): string {
    return `${this.site.origin}/pkg/index.js`;
  }

  /** Opens an empty page. */
  async page(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.goto(this.site.origin);
    return page;
  }
}

/** Gives each test of a file its own. */
export function ground(): Ground {
  const ground = new Ground();
  test.beforeEach(async () => {
    ground.hub = await Hub.start();
    ground.site = await Site.start();
    ground.wire = await Wire.to(ground.hub.port);
  });
  test.afterEach(async () => {
    ground.wire.stop();
    ground.site.stop();
    await ground.hub.stop();
  });
  return ground;
}
