//! The pictures: of RESULTS.md, bars for what is compared and lines for what grows; of SIMULATION.md, curves over time.

use std::{ops::Range, path::Path, time::Duration};

use anyhow::{Result, anyhow};
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    figure::{Figure, separate},
    run::{Broadcast, Case, Measurements, Settings},
    subject::Subject,
};

const SIZE: (u32, u32) = (1000, 1080);
const FONT: &str = "sans-serif";
const OURS: RGBColor = RGBColor(183, 65, 14);
const OTHERS: RGBColor = RGBColor(120, 130, 145);
const FLOOR: RGBColor = RGBColor(190, 196, 204);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the measurements.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(measurements: &Measurements, settings: &Settings, file: &Path) -> Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let drawn = panels(&root, measurements, settings).and_then(|()| Ok(root.present()?));
    // The error borrows what was to be drawn.
    drawn.map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

/// A broadcast of the simulation: what it is, its budget in posts a second, and after how many seconds each member was
/// reached.
pub type Curve = (String, f64, Vec<f64>);

/// Draws how many members were reached over time, and how many the budget would allow.
///
/// # Errors
/// When the file cannot be written.
pub fn draw_curves(curves: &[Curve], file: &Path) -> Result<()> {
    let root = SVGBackend::new(file, (1000, 560)).into_drawing_area();
    let drawn = reached(&root, curves).and_then(|()| Ok(root.present()?));
    drawn.map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn reached(root: &Area, curves: &[Curve]) -> Result<()> {
    root.fill(&WHITE)?;
    let most = curves.iter().map(|(_, _, seconds)| seconds.len()).max().unwrap_or(1) as f64;
    let longest = curves.iter().filter_map(|(_, _, seconds)| seconds.last()).copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(root)
        .caption("Members reached over seconds, both logarithmic; dashed: the rate limit", (FONT, 17))
        .margin(16)
        .x_label_area_size(28)
        .y_label_area_size(80)
        .build_cartesian_2d((0.05..longest * 1.5).log_scale(), (10.0..most * 1.5).log_scale())
        .map_err(detach)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style((FONT, 12))
        .x_label_formatter(&|value| separate(*value, usize::from(*value < 1.0)))
        .y_label_formatter(&|value| separate(*value, 0))
        .draw()
        .map_err(detach)?;
    for (number, (name, budget, seconds)) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        // Some hundred points of each are as good as all.
        let step = (seconds.len() / 300).max(1);
        let points = (1..).zip(seconds).step_by(step).map(|(count, at)| (*at, f64::from(count)));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(detach)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        let end = seconds.len() as f64;
        let limit = [(10.0 / budget, 10.0), (end / budget, end)].into_iter().filter(|(at, _)| *at >= 0.05);
        let limit: Vec<_> = [(0.05, 0.05 * budget)].into_iter().chain(limit).collect();
        chart.draw_series(DashedLineSeries::new(limit, 5, 4, colour.mix(0.5).into())).map_err(detach)?;
    }
    let place = SeriesLabelPosition::LowerRight;
    let labels = chart.configure_series_labels().position(place).label_font((FONT, 13)).margin(12).draw();
    labels.map_err(detach)?;
    Ok(())
}

fn panels(root: &Area, measurements: &Measurements, settings: &Settings) -> Result<()> {
    root.fill(&WHITE)?;
    let areas = root.split_evenly((3, 2));
    let latency = settings.latencies.iter().copied().max().unwrap_or_default();
    let (few, most) = (settings.recipients.iter().copied().min().unwrap_or_default(), settings.most());
    let posts = |subject: Subject| {
        let recipients = if subject.is_sequential() { few } else { most };
        measurements.posts_per_cpu_second(&Case { subject, recipients, shards: 1, latency })
    };
    bars(
        &areas[0],
        &format!("Posts per second of CPU time, {}", setting(most, latency)),
        &rows(posts, "floor: HTTP client alone"),
        |value| separate(value, 0),
    )?;
    bars(
        &areas[1],
        "Cold start to the first answered $connect, ms",
        &rows(|subject| measurements.of_starts(subject, |start| start.answered), "floor: does nothing"),
        |value| separate(value, 1),
    )?;

    let case =
        |recipients, shards| Case { subject: Subject::Ours, recipients, shards, latency: Duration::ZERO };
    let of = |case: Case, value: fn(&Broadcast) -> f64| Figure::of(measurements.of_broadcasts(&case, value));
    let seconds: fn(&Broadcast) -> f64 = |broadcast| broadcast.seconds;
    let read_units: fn(&Broadcast) -> f64 = |broadcast| broadcast.asked.read_units;
    let queries: fn(&Broadcast) -> f64 = |broadcast| broadcast.asked.queries as f64;
    let by_recipients = |value| -> Vec<(f64, Figure)> {
        let sizes = settings.growth.iter();
        sizes.filter_map(|&size| Some((size as f64, of(case(size, 1), value)?))).collect()
    };
    let by_shards = |value| -> Vec<(f64, Figure)> {
        let shards = settings.shards.iter();
        shards.filter_map(|&shards| Some((shards.into(), of(case(most, shards), value)?))).collect()
    };
    let logarithmic = |points: &[(f64, Figure)]| (ends(points, |(x, _)| *x), ends(points, |(_, y)| y.median));
    for (area, title, points) in [
        (&areas[2], "Seconds, by recipients", by_recipients(seconds)),
        (&areas[3], "Read units, by recipients", by_recipients(read_units)),
    ] {
        let (x, y) = logarithmic(&points);
        let title = format!("{title} (the dashed line is linear)");
        lines(area, &title, x.log_scale(), (y.start / 2.0..y.end * 2.0).log_scale(), &points, true)?;
    }
    for (area, title, points) in
        [(&areas[4], "Seconds", by_shards(seconds)), (&areas[5], "Queries", by_shards(queries))]
    {
        let title = format!("{title}, by shards, {} recipients", separate(most as f64, 0));
        let (x, y) = logarithmic(&points);
        lines(area, &title, 0.0..x.end, 0.0..y.end * 1.3, &points, false)?;
    }
    Ok(())
}

fn setting(recipients: usize, latency: Duration) -> String {
    format!("{} recipients at {} ms", separate(recipients as f64, 0), latency.as_millis())
}

/// From the least to the most.
fn ends(points: &[(f64, Figure)], value: fn(&(f64, Figure)) -> f64) -> Range<f64> {
    let figure =
        Figure::of(points.iter().map(value)).unwrap_or(Figure { median: 1.0, lowest: 1.0, highest: 1.0 });
    figure.lowest..figure.highest
}

/// A bar for each subject that has values.
fn rows(values: impl Fn(Subject) -> Vec<f64>, floor: &str) -> Vec<(String, RGBColor, Figure)> {
    let bar = |subject: Subject| {
        let (name, colour) = match subject {
            Subject::Floor => (floor, FLOOR),
            Subject::SignedFloor => (subject.name(), FLOOR),
            Subject::Ours => (subject.name(), OURS),
            _ => (subject.name(), OTHERS),
        };
        Some((name.to_owned(), colour, Figure::of(values(subject))?))
    };
    Subject::ALL.into_iter().filter_map(bar).collect()
}

fn bars(
    area: &Area,
    title: &str,
    rows: &[(String, RGBColor, Figure)],
    label: impl Fn(f64) -> String,
) -> Result<()> {
    let most = Figure::of(rows.iter().map(|(_, _, figure)| figure.highest)).map_or(1.0, |most| most.highest);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17))
        .margin(16)
        .build_cartesian_2d(0.0..most * 1.25, 0.0..rows.len() as f64)
        .map_err(detach)?;
    for (place, (name, colour, figure)) in rows.iter().rev().enumerate() {
        let (bottom, top) = (place as f64 + 0.12, place as f64 + 0.55);
        let above = text(12, HPos::Left, VPos::Bottom);
        let beside = text(13, HPos::Left, VPos::Center);
        chart
            .draw_series([Rectangle::new([(0.0, bottom), (figure.median, top)], colour.filled())])
            .map_err(detach)?;
        let middle = (bottom + top) / 2.0;
        let spread = PathElement::new([(figure.lowest, middle), (figure.highest, middle)], BLACK);
        chart.draw_series([spread]).map_err(detach)?;
        chart.draw_series([Text::new(name.clone(), (0.0, top + 0.05), above)]).map_err(detach)?;
        let end = (figure.highest + most * 0.015, middle);
        chart.draw_series([Text::new(label(figure.median), end, beside)]).map_err(detach)?;
    }
    Ok(())
}

fn text(size: u32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&BLACK).pos(Pos::new(horizontal, vertical))
}

fn lines<X, Y>(area: &Area, title: &str, x: X, y: Y, points: &[(f64, Figure)], linear: bool) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17))
        .margin(16)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)
        .map_err(detach)?;
    let number = |value: &f64| {
        let digits = if *value >= 10.0 || value.fract() == 0.0 {
            0
        } else if *value >= 0.1 {
            1
        } else {
            3
        };
        separate(*value, digits)
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style((FONT, 12))
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .draw()
        .map_err(detach)?;
    if let (Some((first, _)), Some((last, most)), true) = (points.first(), points.last(), linear) {
        // Through the last point: that one is the least disturbed by what is the same for few and for many.
        let line = [(*first, most.median * first / last), (*last, most.median)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, OTHERS.into())).map_err(detach)?;
    }
    let medians = points.iter().map(|(x, y)| (*x, y.median));
    chart.draw_series(LineSeries::new(medians.clone(), OURS.stroke_width(2))).map_err(detach)?;
    chart.draw_series(medians.map(|point| Circle::new(point, 4, OURS.filled()))).map_err(detach)?;
    let spreads = points.iter().map(|(x, y)| PathElement::new([(*x, y.lowest), (*x, y.highest)], BLACK));
    chart.draw_series(spreads).map_err(detach)?;
    Ok(())
}

/// The error as text: it borrows from what is drawn.
fn detach(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}
