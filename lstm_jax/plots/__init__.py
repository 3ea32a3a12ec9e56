"""Records in, matplotlib figures out; nothing is computed here but units."""

from lstm_jax.plots.curves import accuracy_curve as accuracy_curve
from lstm_jax.plots.curves import log_axis as log_axis
from lstm_jax.plots.curves import mark_lag as mark_lag
from lstm_jax.plots.curves import predicted_line as predicted_line
from lstm_jax.plots.curves import share_curve as share_curve
from lstm_jax.plots.look import COLOURS as COLOURS
from lstm_jax.plots.look import GREY as GREY
from lstm_jax.plots.look import LINE_STYLES as LINE_STYLES
from lstm_jax.plots.look import MARKERS as MARKERS
from lstm_jax.plots.look import STYLE as STYLE
from lstm_jax.plots.look import colour_of as colour_of
from lstm_jax.plots.look import marker_of as marker_of
from lstm_jax.plots.look import styled as styled
from lstm_jax.plots.paths import cumulative_curve as cumulative_curve
from lstm_jax.plots.paths import path_curves as path_curves
from lstm_jax.plots.pictures import film_strip as film_strip
from lstm_jax.plots.pictures import heat_map as heat_map
from lstm_jax.plots.pictures import success_map as success_map
from lstm_jax.plots.pictures import time_lag_picture as time_lag_picture
from lstm_jax.plots.surfaces import error_surface as error_surface
from lstm_jax.plots.surfaces import walk as walk
