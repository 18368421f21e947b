// Shows the times of the page in the zone of the browser.

const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const longTime = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false,
});

/** Return a time as text: without the date if it is today. */
export function timeText(moment) {
  const isToday = moment.toDateString() === new Date().toDateString();
  return (isToday ? shortTime : longTime).format(moment);
}

/** Replace the UTC text of all times in `root` by local time; the UTC text becomes the title. */
export function localiseTimes(root) {
  for (const element of root.querySelectorAll("time:not([title])")) {
    element.title = element.textContent;
    element.textContent = timeText(new Date(element.dateTime));
  }
}

localiseTimes(document);
