// Measures the document that it is evaluated in: a list of what is out of place, in words.
// Boxes are compared as they are seen, cut by whatever they are scrolled in.
async () => {
  const SLACK = 1;
  const INTERACTIVE = "a[href], button, input, select, textarea, summary, [role=button]";
  const OWN_SCROLLING = "input, textarea, select, svg, svg *";
  const page = document.documentElement;
  const found = [];

  const named = (element) => {
    const id = element.id && `#${element.id}`;
    const classes = [...element.classList].map((name) => `.${name}`).join("");
    const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.localName}${id}${classes}> "${text}"`;
  };

  function* around(element) {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      yield [at, getComputedStyle(at)];
    }
  }

  const cut = (box, by) => ({
    left: Math.max(box.left, by.left),
    right: Math.min(box.right, by.right),
    top: Math.max(box.top, by.top),
    bottom: Math.min(box.bottom, by.bottom),
  });

  const hasArea = (box) => box.right - box.left > SLACK && box.bottom - box.top > SLACK;

  const seenBoxes = (element) => {
    let boxes = [...element.getClientRects()];
    for (const [at, style] of around(element)) {
      if (style.overflowX !== "visible") {
        boxes = boxes.map((box) => cut(box, at.getBoundingClientRect()));
      }
    }
    return boxes.filter(hasArea);
  };

  const isSeen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) &&
    seenBoxes(element).length > 0;

  const scrolled = (element) =>
    [...around(element)].some(([, style]) => ["auto", "scroll"].includes(style.overflowX));

  const pinned = (element) =>
    [[element, getComputedStyle(element)], ...around(element)].some(([, style]) =>
      ["fixed", "sticky"].includes(style.position),
    );

  const hasOwnText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

  const cuts = (overflow) => ["hidden", "clip"].includes(overflow);

  const sticksOut = (element) => {
    const box = element.getBoundingClientRect();
    return box.left < -SLACK || box.right > page.clientWidth + SLACK;
  };

  const settled = (element) =>
    Promise.allSettled(element.getAnimations().map(({ finished }) => finished));

  // As a link does that skips to the content.
  const comesInOnFocus = async (element) => {
    element.focus({ preventScroll: true });
    await settled(element);
    const isIn = document.activeElement === element && !sticksOut(element);
    element.blur();
    await settled(element);
    return isIn;
  };

  const checkSides = async (element) => {
    if (!sticksOut(element) || scrolled(element) || element.matches("svg *")) {
      return;
    }
    if (!(await comesInOnFocus(element))) {
      found.push(`sticks out sideways: ${named(element)}`);
    }
  };

  const checkText = (element) => {
    const style = getComputedStyle(element);
    if (style.display === "inline" || element.matches(OWN_SCROLLING) || !element.innerText.trim()) {
      return;
    }
    const tooWide = element.scrollWidth > element.clientWidth + SLACK;
    if (style.textOverflow === "ellipsis" && element.closest("summary")) {
      return; // all of it is there once that is opened
    }
    const tooHigh = element.scrollHeight > element.clientHeight + 2 * SLACK;
    if ((tooWide && cuts(style.overflowX)) || (tooHigh && cuts(style.overflowY))) {
      found.push(`text is cut off: ${named(element)}`);
    } else if (tooWide && style.overflowX === "visible" && hasOwnText(element)) {
      found.push(`text is wider than its box: ${named(element)}`);
    }
  };

  const overlap = (one, other) =>
    seenBoxes(one).some((box) => seenBoxes(other).some((by) => hasArea(cut(box, by))));

  // What is pinned to the window lies over what scrolls beneath it, and scrolling parts them.
  const checkControls = (controls) => {
    controls.forEach((one, index) => {
      for (const other of controls.slice(index + 1)) {
        const nested = one.contains(other) || other.contains(one);
        if (!nested && pinned(one) === pinned(other) && overlap(one, other)) {
          found.push(`controls overlap: ${named(one)} and ${named(other)}`);
        }
      }
    });
  };

  const checkWidth = (sheet) => {
    const { scrollWidth, clientWidth, localName } = sheet;
    if (scrollWidth > clientWidth) {
      found.push(`<${localName}> scrolls sideways: ${scrollWidth} > ${clientWidth}`);
    }
  };

  // What is behind a dialog cannot be used until that is closed.
  const dialog = document.querySelector("dialog:modal");
  const stage = dialog ?? document.body;
  [page, dialog].filter(Boolean).forEach(checkWidth);
  for (const element of [...stage.querySelectorAll("*")].filter(isSeen)) {
    await checkSides(element);
    checkText(element);
  }
  checkControls([...stage.querySelectorAll(INTERACTIVE)].filter(isSeen));
  return found;
}
